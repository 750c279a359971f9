"""The section of what is tried beside the pipeline."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from dmdbt.params.kinds import Pooler, Rho, Seed, expect

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAPPING = expect(
    lambda variants: not isinstance(variants, list),
    "a mapping of names to poolings",
    "Write each as name: {pooler, rho}, such as mean: {pooler: mean, rho: 1.0}.",
)
_ONCE = expect(
    lambda variants: variants and len({variant.pooling for variant in variants.values()}) == len(variants),
    "at least one, and each pooling once",
    "Correct the mapping.",
)
_NAMED = expect(
    lambda variants: all(map(_NAME.fullmatch, variants)),
    "names of letters, digits, dots, dashes and underscores",
    "Rename the variant: it is the name of a file.",
)


@dataclass(frozen=True)
class Variant:
    """A pooling of the slices: these keys in place of those of ``rankpool``. Only ranksvm looks at rho."""

    pooler: Pooler
    rho: Rho

    @property
    def pooling(self) -> tuple[str, float | None]:
        """What tells two variants apart."""
        return self.pooler, self.rho if self.pooler == "ranksvm" else None


@dataclass(frozen=True)
class Ablation:
    """What is tried beside the pipeline: poolings of the slices by name, and fewer training patients."""

    backbone: str
    variants: Annotated[dict[str, Variant], BeforeValidator(_MAPPING.func), _ONCE, _NAMED]
    fractions: list[Annotated[float, Field(gt=0.0, le=0.99)]]
    seed: Seed
