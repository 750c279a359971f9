"""Simulate the cohort of the demo: patients, imaged by physics and written as a clinic's files."""

from dmdbt.entry import run
from dmdbt.steps.phantom import simulate_cohort as main

if __name__ == "__main__":
    run(main)
