"""What this machine has and what is missing: ``rallrec doctor``, and the Library page's fold of that name."""
