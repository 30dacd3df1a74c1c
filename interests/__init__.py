"""Who a user is: events, states, encoding, stores."""
