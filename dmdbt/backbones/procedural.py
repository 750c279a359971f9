"""Pre-train a backbone on procedural shapes, for use where ImageNet weights cannot be had."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from tqdm import trange

from dmdbt.backbones.architectures import create_classifier, feature_extractor, feature_shape, normalize
from dmdbt.backbones.shapes import SHAPES, shape_images

# The order of floating-point sums depends on the number of threads, so it is part of the formula, like the seed.
THREADS = 2
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 0.05
_WARM_UP = 0.2  # share of the steps
_REPORTED = 20  # the reported loss is the mean over so many last steps


class _NormalizedConv(nn.Sequential):
    """A convolution and a temporary batch norm."""


def pretrain(
    name: str, resnet_depth: int = 50, *, steps: int, batch_size: int, image_size: int, seed: int
) -> tuple[dict[str, Tensor], float]:
    """Train a backbone to tell which shape an image holds.

    Its first convolution starts as a bank of filters by formula: an 11 x 11 kernel at random, with a stride of 4, does
    not find small spots in so short a time.

    An architecture without batch norm (AlexNet, SqueezeNet, VGG) hardly trains in a short time, so it gets temporary
    ones, which are folded into its convolutions afterwards. Weights depend on the arguments alone, and on the machine's
    kind of processor.

    Every step sees new images. The shapes have one size in pixels, whatever `image_size` is, so that smaller images are
    cheaper and emptier. For `name` and `resnet_depth` see `dmdbt.backbones.architectures.architecture`.

    Returns
    -------
    dict of Tensor
        State dict of the backbone, under torchvision's names.
    float
        Mean loss over the last steps.
    """
    backbone = feature_extractor(create_classifier(name, resnet_depth, seed=seed))
    temporary = not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    generator = Generator().manual_seed(seed)
    with _reproducible(seed):
        draw_filters(next(module for module in backbone.modules() if isinstance(module, nn.Conv2d)), generator)
        if temporary:
            add_batch_norms(backbone)
        loss = _train(backbone, name, steps, batch_size, image_size, generator)
        backbone.eval()
        if temporary:
            fold_batch_norms(backbone)
    return backbone.state_dict(), loss


@torch.no_grad()
def draw_filters(conv: nn.Conv2d, generator: Generator) -> None:
    """Make the filters of a first convolution spots (differences of Gaussians) and stripes (Gabor) by turns.

    Sizes are log-uniform, orientations, phases and positions within a stride uniform. Every filter sees gray, sums to
    zero and has norm 1; as many see bright on dark as dark on bright.
    """
    count, _, size, _ = conv.weight.shape
    half = (size - 1) / 2
    shift = (torch.rand(2, count, 1, 1, generator=generator) - 0.5) * conv.stride[0]
    offset = torch.arange(-half, half + 1)
    down, right = offset.view(-1, 1) - shift[0], offset - shift[1]
    width = 0.7 * (size / 3.2) ** torch.rand(count, 1, 1, generator=generator)
    turn, phase = 2 * math.pi * torch.rand(2, count, 1, 1, generator=generator)
    squared = (down**2 + right**2) / (2 * width**2)
    spots = torch.exp(-squared) - torch.exp(-squared / 2.56) / 2.56
    along = down * torch.cos(turn) + right * torch.sin(turn)
    stripes = torch.exp(-squared) * torch.cos(1.6 * along / width + phase)
    index = torch.arange(count).view(-1, 1, 1)
    filters = torch.where(index % 2 == 0, spots, stripes) * (1 - 2 * (index // 2 % 2))
    filters = filters - filters.mean(dim=(1, 2), keepdim=True)
    filters = filters / torch.linalg.vector_norm(filters, dim=(1, 2), keepdim=True)
    conv.weight.copy_(filters.unsqueeze(1).expand_as(conv.weight) / conv.in_channels)


def add_batch_norms(module: nn.Module) -> None:
    """Put a batch norm behind every convolution inside `module`."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            setattr(module, name, _NormalizedConv(child, nn.BatchNorm2d(child.out_channels)))
        else:
            add_batch_norms(child)


def fold_batch_norms(module: nn.Module) -> None:
    """Undo `add_batch_norms`: the convolutions alone then compute what both computed in eval mode."""
    for name, child in list(module.named_children()):
        if isinstance(child, _NormalizedConv):
            setattr(module, name, fuse_conv_bn_eval(*child))
        else:
            fold_batch_norms(child)


def _train(backbone: nn.Module, name: str, steps: int, batch_size: int, image_size: int, generator: Generator) -> float:
    """Train a backbone in place, with a linear classifier of its average-pooled feature map."""
    channels = feature_shape(backbone.eval(), image_size)[0]
    classifier = nn.Linear(channels, len(SHAPES))
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    # With channels last convolutions are faster.
    nn.utils.convert_conv2d_weight_memory_format(backbone.train(), torch.channels_last)
    parameters = [*backbone.parameters(), *classifier.parameters()]
    optimizer = torch.optim.AdamW(parameters, weight_decay=_WEIGHT_DECAY)
    losses = []
    for step in trange(steps, desc=f"pre-train {name}", unit="step", disable=None):
        batch = shape_images(batch_size, image_size, generator)
        images = normalize(batch.images).contiguous(memory_format=torch.channels_last)
        logits = classifier(backbone(images).mean(dim=(2, 3)))
        loss = F.cross_entropy(logits, batch.shapes)
        optimizer.param_groups[0]["lr"] = _learning_rate((step + 0.5) / steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-_REPORTED:]) / len(losses[-_REPORTED:])


def _learning_rate(progress: float) -> float:
    """Rise linearly, then fall as a cosine to zero (L. N. Smith, "Super-convergence", 2018). `progress` is in 0..1."""
    if progress < _WARM_UP:
        return _LEARNING_RATE * progress / _WARM_UP
    return _LEARNING_RATE * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) / 2


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Fix the threads and torch's global generator (some architectures drop at random); restore both afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
