"""Which cached results belong to which system of the paper, on a list of samples: no model runs here.

``labelled``: the samples; ``ways``: what each system asks; ``looked_up``: what is cached of it, as arrays; ``systems``:
the systems, what is chosen on validation samples, and what they reach; ``report``: all of it as JSON. What tables and
figures make of it is in ``backend.evaluation.paper``.
"""
