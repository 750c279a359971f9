"""Run a command; print its wall time and the peak memory of its whole process tree.

``python benchmarks/measure.py make repro``. Memory is the sum of the resident sets twice a second, so that pages that
processes share count more than once: an upper bound.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil


def main(command: list[str]) -> int:
    """Run the command and return its exit code."""
    code, seconds, peak = watch(command)
    print(f"{' '.join(command)}: exit {code}, {seconds / 60:.1f} min, {peak / 2**30:.2f} GiB at most")
    return code


def watch(command: Sequence[str | Path], **options: Any) -> tuple[int, float, int]:
    """Run a command; return its exit code, its seconds, and the peak of its memory in bytes."""
    start, peak = time.monotonic(), 0
    process = subprocess.Popen(command, **options)
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.5)
    return process.returncode, time.monotonic() - start, peak


def _resident(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
