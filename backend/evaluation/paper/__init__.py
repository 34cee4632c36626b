"""What the tables and figures of the paper are made of: pure functions from arrays to rows and points."""
