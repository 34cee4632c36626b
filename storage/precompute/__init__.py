"""The stages of ``rallrec precompute``: what each one makes, and the graph that joins them."""
