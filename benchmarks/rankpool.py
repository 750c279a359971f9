"""Measure what rank pooling costs beside other ways to pool slices, on one thread.

``python -m benchmarks.rankpool`` prints the tables of docs/benchmarks.md; it takes three minutes and 2.5 GB. Every
method runs in processes of its own, in turn with the others of its table. Seconds are those of the processor, the
best of all rounds; memory is the peak of the whole process, the volume included.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from dmdbt import params
from dmdbt.imaging import read_slices, write_slices
from dmdbt.phantom import PhantomSettings, patients, write_patient
from dmdbt.rankpool import approximate_weights, pool_slices, rank_pool
from dmdbt.rankpool.ranksvm import _combine
from dmdbt.readers import open_volume

Result = TypeVar("Result")

_RHO = 1e-3
_ROUNDS = 4
_SLOW = 1.0  # seconds; what takes longer is measured once


@dataclass
class _Noise:
    """A volume of which every pixel changes from slice to slice: the worst case."""

    n_slices: int
    rows: int
    columns: int

    def slices(self) -> np.ndarray:
        rng = np.random.default_rng(0)
        slices = np.empty((self.n_slices, self.rows, self.columns), np.uint8)
        for index in range(self.n_slices):
            slices[index] = rng.integers(60, 90, slices.shape[1:], np.uint8)
            row = self.rows * index // (2 * self.n_slices)
            slices[index, row : row + self.rows // 4, self.columns // 4 :] += 60  # something that moves
        return slices


def main() -> None:
    """Print the tables; the first method of each is the unit of its ratios."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before the processes that measure begin
    exact = partial(rank_pool, rho=_RHO)
    methods = {
        "closed form, weights alone": _closed_form,
        "closed form with certificate (rho 1)": rank_pool,
        **{f"exact, rho {rho:g}": partial(rank_pool, rho=rho) for rho in (0.1, _RHO, 1e-6)},
    }
    others = {"a loop over slices in NumPy": _loop, "`svr`": partial(pool_slices, pooler="svr")}
    with tempfile.TemporaryDirectory() as folder:
        patient = partial(read_slices, _in_a_process(_simulated, Path(folder)))
        _table("simulated patient", patient, methods | others)
        decoded = {"decoding, closed form": _closed_form, f"decoding, exact, rho {_RHO:g}": exact}
        _table("simulated patient, from JPEG files", patient, decoded, timed_source=True)
    _table("every pixel changes", _Noise(82, 1024, 1024).slices, methods | others)
    _table("every pixel changes", _Noise(100, 2457, 1996).slices, {f"exact, rho {_RHO:g}": exact})
    small = {f"exact, rho {_RHO:g}": exact, f"LinearSVC on explicit pairs, rho {_RHO:g}": _explicit_pairs}
    _table("every pixel changes", _Noise(40, 64, 64).slices, small)


def _simulated(folder: Path) -> Path:
    """The JPEG slices of the first patient of the demo, with finer pixels and slices."""
    settings = asdict(params.read(params.Phantom)) | {"dbt_size": 1024, "slice_spacing_mm": 0.78, "codec": "ffv1"}
    phantom = PhantomSettings(**settings)
    row, _ = write_patient(patients(phantom)[0], phantom, folder)[0]
    with open_volume(folder / str(row["dbt"])) as volume:
        write_slices(volume, folder / "slices", quality=95)
    return folder / "slices"


def _table(
    title: str,
    source: Callable[[], np.ndarray],
    methods: dict[str, Callable[[np.ndarray], object]],
    *,
    timed_source: bool = False,
) -> None:
    seconds, peaks = dict.fromkeys(methods, np.inf), dict.fromkeys(methods, 0)
    for _ in range(_ROUNDS):
        for name, method in methods.items():
            if _SLOW < seconds[name] < np.inf:
                continue
            took, peak, shape = _in_a_process(_measure, source, method, timed_source)
            seconds[name], peaks[name] = min(seconds[name], took), max(peaks[name], peak)
    unit = next(iter(seconds.values()))
    print(f"\n| {' x '.join(map(str, shape))}, {title} | seconds | ratio | peak MB |\n| --- | ---: | ---: | ---: |")
    for name, took in seconds.items():
        print(f"| {name} | {took:.3f} | {took / unit:.2f} | {peaks[name] / 1000:.0f} |", flush=True)


def _in_a_process(function: Callable[..., Result], *arguments: object) -> Result:
    """A fresh one: the peak memory of a process never falls, and its children inherit it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def _measure(
    source: Callable[[], np.ndarray], method: Callable[[np.ndarray], object], timed: bool
) -> tuple[float, int, tuple[int, ...]]:
    """Seconds of the processor, the best of three; peak memory in kB; shape of the volume."""
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < _SLOW:
        start = time.process_time()
        slices = source()
        start = start if timed else time.process_time()
        method(slices)
        seconds.append(time.process_time() - start)
        shape = slices.shape
        del slices
    return min(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, shape


def _closed_form(slices: np.ndarray) -> np.ndarray:
    return _combine(slices.reshape(len(slices), -1), approximate_weights(len(slices)), np.float32)


def _loop(slices: np.ndarray) -> np.ndarray:
    """Approximate rank pooling as its formula reads: one running mean after the other, in float64."""
    total, image = np.zeros(slices.shape[1:]), np.zeros(slices.shape[1:])
    for step, current in enumerate(slices, start=1):
        total = total + current
        image = image + (2 * step - len(slices) - 1) * total / step
    return image


def _explicit_pairs(slices: np.ndarray) -> np.ndarray:
    from sklearn.svm import LinearSVC  # here, so that it takes no memory of the others

    steps = np.arange(1, len(slices) + 1)[:, None]
    means = np.cumsum(slices.reshape(len(slices), -1), axis=0, dtype=np.float64) / steps
    later, earlier = np.tril_indices(len(slices), -1)
    pairs = (means[later] - means[earlier]) / np.sqrt(rank_pool(slices).lam_max)
    sides = np.where(np.arange(len(pairs)) % 2, 1, -1)
    machine = LinearSVC(loss="hinge", C=1 / (_RHO * len(pairs)), fit_intercept=False, tol=1e-6, max_iter=100_000)
    return machine.fit(pairs * sides[:, None], sides).coef_


if __name__ == "__main__":
    main()
