"""Measure a baseline."""

from dmdbt.entry import run
from dmdbt.steps.baseline_metrics import measure_baseline as main

if __name__ == "__main__":
    run(main)
