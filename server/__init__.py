"""From interests to slates: gRPC."""

import os

# Before anything imports numpy: several threads in one matrix product make a small one ten times slower.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
