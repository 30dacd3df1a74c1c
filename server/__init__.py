"""From interests to slates: gRPC."""

import os

# Before anything imports numpy and grpc. Several threads in one matrix product make a small one ten times slower; and
# what gRPC's core would write to stderr is no log line of ours, while all that matters of it comes as an error.
for _variable, _value in (("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"), ("GRPC_VERBOSITY", "NONE")):
    os.environ.setdefault(_variable, _value)
