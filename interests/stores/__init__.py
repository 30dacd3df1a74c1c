"""Where interest states are kept: one contract, three stores."""
