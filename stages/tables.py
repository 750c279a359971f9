"""Test the paper's claims, and put its tables beside ours."""

from dmdbt.entry import run
from dmdbt.steps.tables import compare_with_paper as main

if __name__ == "__main__":
    run(main)
