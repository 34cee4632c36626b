"""The Label screen: where people judge chains, and what comes of it."""
