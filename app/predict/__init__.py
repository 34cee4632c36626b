"""The Predict screen: one user, one item, from history to merged probability."""
