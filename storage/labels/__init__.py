"""Labelling, kept: accounts, projects, the queue, drafts and labels, what was resolved, and who changed what.

What a label says is ``backend.labelling``; who may do what is said in ``storage.labels.roles`` and asked once, in
``app.label.service``. Everything here trusts that it was.
"""
