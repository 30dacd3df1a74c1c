"""The steps of a slate as plain loops for numba; each stands behind the numpy code that it does the same as."""
