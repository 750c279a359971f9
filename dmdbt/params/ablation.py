"""The section of what is tried beside the pipeline."""

import re
from dataclasses import dataclass
from typing import Annotated

from dmdbt.errors import ParameterError
from dmdbt.params.kinds import Pooler, Rho, Seed, Within

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Variant:
    """A pooling of the slices: these keys of ``rankpool`` in place of its own. Only ranksvm looks at rho."""

    pooler: Pooler
    rho: Rho


@dataclass(frozen=True)
class Ablation:
    """What is tried beside the pipeline: poolings of the slices by name, and fewer training patients."""

    backbone: str
    variants: dict[str, Variant]
    fractions: list[Annotated[float, Within(0.0, 0.99, above_low=True)]]
    seed: Seed

    def __post_init__(self) -> None:
        if not self.variants or len(set(self.variants.values())) < len(self.variants):
            raise ParameterError(
                "ablation.variants",
                expected="at least one, and each pooling once",
                found=", ".join(self.variants),
                remedy="Correct the mapping.",
            )
        for name in self.variants:
            if not _NAME.fullmatch(name):
                raise ParameterError(
                    f"ablation.variants.{name}",
                    expected="a name of letters, digits, dots, dashes and underscores",
                    found=name,
                    remedy="Rename the variant: it is the name of a file.",
                )
