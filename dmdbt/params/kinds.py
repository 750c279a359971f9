"""Kinds of values that several sections have, and checks that several need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from dmdbt.errors import ParameterError


@dataclass(frozen=True)
class Within:
    """An interval that holds its ends, or all but the low one."""

    low: float
    high: float
    above_low: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above_low else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"{'above' if self.above_low else 'from'} {self.low:g} {'up ' * self.above_low}to {self.high:g}"


Copy = Literal["original", "flip", "rot90", "rot180", "rot270"]
Fraction = Annotated[float, Within(0.0, 1.0)]
Seed = Annotated[int, Within(0, 2**31 - 1)]
ImageSize = Annotated[int, Within(32, 4096)]
Count = Annotated[int, Within(1, 1_000_000)]
Grid = Annotated[int, Within(1, 128)]
AlexnetSize = Annotated[int, Within(64, 4096)]  # of smaller images its last max-pool leaves nothing
Widths = list[Annotated[int, Within(1, 65536)]]
Rate = Annotated[float, Within(0.0, 0.99)]
Positive = Annotated[float, Within(1e-6, 1e6)]
Pooler = Literal["ranksvm", "approximate", "mean", "max", "std", "central", "svr"]
Rho = Annotated[float, Within(0.0, 1e8, above_low=True)]
SliceChoice = Literal["even", "central"]
Schedule = Literal["constant", "cosine"]  # of the learning rate


def check_copies(key: str, copies: Sequence[str]) -> None:
    """Refuse a list of augmented copies that lacks the original or names one twice."""
    if "original" not in copies or len(set(copies)) < len(copies):
        expected = "each copy once, the original among them"
        raise ParameterError(key, expected=expected, found=copies, remedy="Testing uses the original.")


def check_even(key: str, batch_size: int) -> None:
    """Refuse a batch that cannot be half benign and half malignant."""
    if batch_size % 2:
        remedy = "Half of every batch is benign, half malignant."
        raise ParameterError(key, expected="an even number", found=batch_size, remedy=remedy)
