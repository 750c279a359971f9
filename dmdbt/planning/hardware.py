"""The hardware of this machine, as far as a plan needs it."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_PROBE = 64 * 2**20  # bytes


def starting() -> float:
    """Seconds that a stage needs before it begins: Python and its imports."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # finds dmdbt in a clone and installed
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import dmdbt.heads"], env=environment, check=True)
    return time.perf_counter() - start


def recording(folder: Path) -> float:
    """Seconds per byte that DVC needs to hash an output and copy it into its cache."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        original = Path(name, "original")
        original.write_bytes(b"\1" * _PROBE)
        start = time.perf_counter()
        with original.open("rb") as file:
            hashlib.file_digest(file, "md5")
        shutil.copyfile(original, Path(name, "copy"))
        return (time.perf_counter() - start) / _PROBE


def reflinks(folder: Path) -> bool:
    """Whether two files of a folder can share their content: DVC's cache then takes no space of its own."""
    from dvc_objects.fs.system import reflink

    with tempfile.TemporaryDirectory(dir=folder) as name:
        original = Path(name, "original")
        original.write_bytes(b"\1" * 4096)
        try:
            reflink(str(original), str(Path(name, "copy")))  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return True
