"""The Stories screen: walkthroughs, and the presenter that shows them."""
