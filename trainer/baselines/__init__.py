"""What any ranking must beat, each at its best."""
