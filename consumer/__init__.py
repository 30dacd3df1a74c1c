"""From events to interests: reads a log, moves states, writes them to a store."""
