"""Work that is promised and done later, and the files that it leaves for a time."""
