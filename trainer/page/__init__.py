"""The evaluation's page: one file, no network."""
