"""From a history to a bundle."""
