"""Breast cancer classification from pairs of a mammogram (DM) and a tomosynthesis volume (DBT)."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dmdbt.prediction.loaded import LoadedModel

__version__ = "0.1.0"


def load_model(folder: Path | str) -> "LoadedModel":
    """Read a bundle that ``dmdbt export`` has written.

    >>> model = load_model("bundle")                    # doctest: +SKIP
    >>> model.predict("dm.dcm", "dbt.avi").p["dm_dbt"]  # doctest: +SKIP

    Raises
    ------
    IntegrityError
        The folder is no bundle, one of another version, or damaged.
    """
    from dmdbt.prediction.loaded import LoadedModel  # here, for it takes seconds to import

    return LoadedModel(Path(folder))
