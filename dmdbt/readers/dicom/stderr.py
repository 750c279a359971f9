"""Messages about damage that native decoders print instead of reporting them."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def captured_errors() -> Iterator[Callable[[], bytes]]:
    """Keep the process's standard error from the screen; the function yielded returns what was written so far.

    It is the process's, not a thread's: decode in processes, not in threads.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        screen = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: os.pread(file.fileno(), 1000, 0)
        finally:
            os.dup2(screen, 2)
            os.close(screen)
