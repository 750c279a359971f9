"""Kinds of values that several sections have."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from dmdbt.params.backbones import BACKBONES


def expect(holds: Callable[[Any], bool], expected: str, remedy: str = "Correct the list.") -> AfterValidator:
    """Refuse a value for which `holds` is false; `checking` makes a ParameterError of it."""

    def checked(value: Any) -> Any:
        if not holds(value):
            raise PydanticCustomError("expectation", "{expected}", {"expected": expected, "remedy": remedy})
        return value

    return AfterValidator(checked)


def once(values: list[Any]) -> bool:
    """Whether no value is there twice."""
    return len(set(values)) == len(values)


Backbone = Annotated[str, expect(BACKBONES.__contains__, "a known backbone", f"Choose one of {', '.join(BACKBONES)}.")]
Copy = Literal["original", "flip", "rot90", "rot180", "rot270"]
WITH_ORIGINAL = expect(
    lambda copies: "original" in copies and once(copies),
    "each copy once, the original among them",
    "Testing uses the original.",
)
Copies = Annotated[list[Copy], WITH_ORIGINAL]
Spelling = str | bool | int  # of a label in a table; YAML reads 1 and true as no text
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
ImageSize = Annotated[int, Field(ge=32, le=4096)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Grid = Annotated[int, Field(ge=1, le=128)]
AlexnetSize = Annotated[int, Field(ge=64, le=4096)]  # of smaller images its last max-pool leaves nothing
Widths = list[Annotated[int, Field(ge=1, le=65536)]]
Rate = Annotated[float, Field(ge=0, le=0.99)]
Positives = Annotated[list[Annotated[float, Field(ge=1e-6, le=1e6)]], expect(bool, "at least one number")]
SliceChoice = Literal["even", "central"]
Schedule = Literal["constant", "cosine"]  # of the learning rate
BatchSize = Annotated[
    int,
    Field(ge=2, le=4096),
    expect(lambda size: size % 2 == 0, "an even number", "Half of every batch is benign, half malignant."),
]
