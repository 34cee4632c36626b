"""The command line, ``rallrec``."""
