"""Messages and service stubs, generated from the .proto files beside them by `make stubs`."""
