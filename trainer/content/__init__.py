"""What the catalogue says of items: features, texts, topics."""
