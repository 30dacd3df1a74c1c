"""What validation chooses: weights of signals, the dial."""
