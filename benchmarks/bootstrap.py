"""Measure what intervals cost beside a loop of scikit-learn over the same draws: ``python -m benchmarks.bootstrap``.

Ours measures all eleven metrics in every draw, the loop the AUC alone, of a few draws, scaled up.
"""

import time

import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from dmdbt.evaluation import Bootstrap, classifier_metrics
from dmdbt.evaluation.intervals import drawn_weights

N_CLASSIFIERS, DRAWS, LOOPED = 16, 2000, 100


def main() -> None:
    """Print a table of seconds."""
    print("| pairs | patients | ours s | loop s (AUC alone) | ratio |\n| ---: | ---: | ---: | ---: | ---: |")
    for n_pairs in (300, 1400):
        rng = np.random.default_rng(0)
        owner = rng.integers(0, int(0.8 * n_pairs), n_pairs)
        targets = rng.integers(0, 2, owner.max() + 1)[owner]
        probs = np.clip(rng.normal(0.4 + 0.2 * targets, 0.2, (N_CLASSIFIERS, n_pairs)), 0, 1)
        patients = [f"P{number}" for number in owner]
        ours, loop = seconds_ours(targets, probs, patients), seconds_loop(targets, probs, patients)
        n_patients = len(set(patients))
        print(f"| {n_pairs} | {n_patients} | {ours:.2f} | {loop:.1f} | {loop / ours:.0f} |", flush=True)


def seconds_ours(targets: np.ndarray, probs: np.ndarray, patients: list[str]) -> float:
    """All metrics and intervals of all classifiers."""
    start = time.perf_counter()
    for of_one in tqdm(probs, desc="ours", leave=False):
        classifier_metrics(targets, of_one, patients=patients, bootstrap=Bootstrap(DRAWS, 5))
    return time.perf_counter() - start


def seconds_loop(targets: np.ndarray, probs: np.ndarray, patients: list[str]) -> float:
    """The AUC of all classifiers in every draw, one by one."""
    weights = np.vstack([*drawn_weights(patients, Bootstrap(LOOPED, 5))])
    start = time.perf_counter()
    for of_draw in tqdm(weights, desc="loop", leave=False):
        for of_one in probs:
            roc_auc_score(targets, of_one, sample_weight=of_draw)
    return (time.perf_counter() - start) * DRAWS / LOOPED


if __name__ == "__main__":
    main()
