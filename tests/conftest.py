"""One thread per process, for the networks of the tests are too small for two; and no time limit on a busy machine."""

import os
import signal

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
# A shell starts what runs in the background with interrupts ignored, and every child inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
