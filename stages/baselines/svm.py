"""Train and test the SVMs on pooled features of VGG19."""

from dmdbt.entry import run
from dmdbt.steps.baseline_svm import train_svms as main

if __name__ == "__main__":
    run(main)
