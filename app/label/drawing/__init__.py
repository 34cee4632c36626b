"""What ``/label`` shows, as HTML text: pure functions of what the labelling service found."""
