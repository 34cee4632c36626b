"""Cached answers and chains: their rows, keys, files, and the engine that reads them before it runs a model."""
