"""The one place that imports torchvision: ``from dmdbt.backbones.torchvision_operators import models``.

Beside some builds of torch (a CPU build here) the compiled operators of torchvision cannot be loaded. Its Python code
then still asks torch for the operators ``nms`` and ``qnms``, and ``import torchvision`` fails. No classifier uses these
operators, so declaring their signatures is enough. Where torchvision loads by itself nothing is declared.
"""

import sys

import torch

try:
    from torchvision import models
except RuntimeError as exc:
    if "operator torchvision::nms does not exist" not in str(exc):
        raise
    for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[module]
    for operator in ("torchvision::nms", "torchvision::qnms"):
        torch.library.define(operator, "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import models

__all__ = ["models"]
