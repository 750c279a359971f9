"""A trained pipeline as one folder that anyone can apply; `dmdbt.bundle.export` writes it."""

from dmdbt.bundle.model import (
    SUMS_NAME,
    Model,
    OperatingPoints,
    check_all,
    checked_file,
    damaged,
    json_schema,
    read_model,
)
from dmdbt.bundle.operating_points import calibrated
from dmdbt.bundle.training import TRAINING_NAME, Seen, Training

__all__ = [
    "SUMS_NAME",
    "TRAINING_NAME",
    "Model",
    "OperatingPoints",
    "Seen",
    "Training",
    "calibrated",
    "check_all",
    "checked_file",
    "damaged",
    "json_schema",
    "read_model",
]
