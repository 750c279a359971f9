"""Compare the variants of the pooling."""

from dmdbt.entry import run
from dmdbt.steps.ablation import compare_variants as main

if __name__ == "__main__":
    run(main)
