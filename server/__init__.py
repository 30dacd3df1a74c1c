"""From interests to slates: gRPC."""
