"""One script a claim; each prints a table and the limit that it is measured against."""
