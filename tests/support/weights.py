"""Files of weights, and the parameters that name them."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dmdbt.backbones.architectures import create_classifier
from dmdbt.backbones.torchvision_operators import models
from dmdbt.files import sha256
from tests.support import ROOT, yaml


def parameters_text(backbones: str) -> str:
    """Add what else is read where weights are looked for: the baselines, none of which runs."""
    demo = yaml.load(ROOT / "params.yaml")
    labels = "labels: {benign: [], malignant: []}"
    return f"{backbones}\n{labels}\nbaselines: {json.dumps(demo['baselines'] | {'names': []})}"


def classifier_file(path: Path, name: str = "squeezenet", **changes: Tensor) -> Path:
    torch.save({**create_classifier(name, 18, seed=4).state_dict(), **changes}, path)
    return path


def publish(
    file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, server: str = "https://download.invalid"
) -> Path:
    """Name a file by its hash as torchvision does, and announce it as its checkpoint of SqueezeNet."""
    checkpoint = file.rename(folder / f"squeezenet1_1-{sha256(file)[:8]}.pth")
    published = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    changed = type(published.value)(f"{server}/{checkpoint.name}", **_rest(published))
    monkeypatch.setattr(published, "_value_", changed)
    return checkpoint


def _rest(published: models.WeightsEnum) -> dict[str, object]:
    return {"transforms": published.value.transforms, "meta": published.value.meta}
