"""A trained pipeline as one folder that anyone can apply."""

from dmdbt.bundle.export import Trained, check_up_to_date, export_bundle
from dmdbt.bundle.model import Model, check_all, checked_file, json_schema, read_model
from dmdbt.bundle.operating_points import calibrated
from dmdbt.bundle.training import TRAINING_NAME, Seen, Training

__all__ = [
    "TRAINING_NAME",
    "Model",
    "Seen",
    "Trained",
    "Training",
    "calibrated",
    "check_all",
    "check_up_to_date",
    "checked_file",
    "export_bundle",
    "json_schema",
    "read_model",
]
