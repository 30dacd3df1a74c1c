"""What a user sees: pure functions from a profile and a bundle to a slate."""
