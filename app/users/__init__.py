"""The Users screen: everybody in a list, and one user with every cached prediction."""
