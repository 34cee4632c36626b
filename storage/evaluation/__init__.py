"""The systems of the paper and what they reach on a list of samples, from cached results alone: no model runs here.

``labelled``: the samples; ``ways``: what each system asks; ``looked_up``: what is cached of it, as arrays; ``systems``:
the systems by name; ``chosen``: what is chosen on validation samples; ``exhibits``: the tables and figures.
"""
