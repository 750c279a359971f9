"""Compare the heads that were trained on fewer patients with those of the pipeline."""

from dmdbt.entry import run
from dmdbt.steps.learning_curve import write_learning_curve as main

if __name__ == "__main__":
    run(main)
