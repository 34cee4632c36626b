"""Work that takes a while, kept in the database so that it survives the page and the process that began it."""
