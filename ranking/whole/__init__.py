"""The whole way from a profile to the items of a slate as one compiled call: steps of other modules, put together."""
