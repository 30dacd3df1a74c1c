"""What several tests build on: small real bundles, servers, brokers."""
