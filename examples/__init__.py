"""Things to read and run."""
