"""What people keep: stories, what-ifs and lists of samples."""
