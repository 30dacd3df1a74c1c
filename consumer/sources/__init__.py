"""Where log entries are read from: Kafka, a file, memory; one contract."""
