"""The section of what is tried beside the pipeline."""

import re
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field
from ruamel.yaml import YAML

from dmdbt.errors import ParameterError
from dmdbt.params.checking import checked_section
from dmdbt.params.kinds import Seed
from dmdbt.params.sections import Rankpool


@dataclass(frozen=True)
class Ablation:
    """What is tried beside the pipeline: poolers of the slices, and fewer training patients."""

    backbone: str
    variants: list[str]
    fractions: list[Annotated[float, Field(gt=0.0, le=0.99)]]
    seed: Seed

    def __post_init__(self) -> None:
        base = Rankpool(pooler="mean", rho=1.0, mapping="symmetric", quantile=1.0)
        poolings = [for_variant(base, variant) for variant in self.variants]
        if not poolings or any(pooling in poolings[:number] for number, pooling in enumerate(poolings)):
            raise ParameterError(
                "ablation.variants",
                expected="at least one, and each pooling once",
                found=self.variants,
                remedy="Correct the list.",
            )


def for_variant(settings: Rankpool, variant: str) -> Rankpool:
    """Return `settings` with the pooling of a variant of the ablation; ParameterError if there is no such pooling.

    A variant is the name of a pooler, or ``ranksvm-<rho>``. The rho of other poolers is 1, for they have none.
    """
    pooler, _, rho = variant.partition("-")
    if (pooler == "ranksvm") != bool(rho) or (rho and not re.fullmatch(r"[\d.]+(e-?\d+)?", rho)):
        raise ParameterError(
            "ablation.variants",
            expected="the names of poolers, ranksvm with its rho",
            found=variant,
            remedy="Write such as mean, or ranksvm-0.1.",
        )
    changes = {"pooler": pooler, "rho": YAML(typ="safe", pure=True).load(rho or "1")}
    return checked_section(Rankpool, asdict(settings) | changes, f"ablation.variants.{variant}")
