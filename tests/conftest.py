"""One thread per process: the networks of the tests are too small for two."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
