"""Procedural shapes on 1/f noise, by formula: no photograph, no patient and no diagnosis is involved.

After H. Kataoka et al., "Pre-training without natural images", ACCV 2020, and M. Baradad et al., "Learning to see by
looking at noise", NeurIPS 2021.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

_PRESENCE = 0.2  # probability of each shape in an image: two of the ten on average
_RADIUS = (3.0, 14.0)  # in pixels, whatever the size of the image; log-uniform
_CONTRAST = (3.0, 12.0)  # of a shape, in standard deviations of the noise; either sign
_VISIBLE = 0.3  # of a shape's contrast, for its mask
_NOISE_EXPONENT = (1.0, 1.7)  # of the amplitude spectrum
_BRIGHTNESS = (0.2, 0.7)  # mean of an image, in 0..1
_GAIN = (0.06, 0.18)  # standard deviation of the noise, in 0..1
_DOTS = 10
_BORDERED = 0.6  # share of images that end at a curved border, black beyond it, as an object on a dark ground does


class ShapeImages(NamedTuple):
    """A batch: `images` (N, 1, H, W) in 0..1, and `masks` (N, 10, H, W) of 0 and 1, one per shape of `SHAPES`."""

    images: Tensor
    masks: Tensor


@dataclass(frozen=True)
class _Frame:
    """Polar coordinates around the centers of n shapes, and the generator for what else a shape draws at random."""

    radius: Tensor  # (n, H, W), 1 at the nominal outline
    angle: Tensor  # (n, H, W), radians
    edge: Tensor  # (n, 1, 1), width of a soft edge in units of radius
    generator: Generator

    def uniform(self, low: float, high: float) -> Tensor:
        return _uniform(len(self.radius), low, high, self.generator).view(-1, 1, 1)

    def whole(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, self.edge.shape, generator=self.generator)

    def inside(self, outline: Tensor | float) -> Tensor:
        return torch.sigmoid((outline - self.radius) / self.edge)

    def offset(self) -> tuple[Tensor, Tensor]:
        return self.radius * torch.cos(self.angle), self.radius * torch.sin(self.angle)


def _disc(frame: _Frame) -> Tensor:
    return frame.inside(1.0)


def _blob(frame: _Frame) -> Tensor:
    along, across = frame.offset()
    return torch.exp(-(along**2) - (across * frame.uniform(1.0, 2.0)) ** 2)


def _lobes(frame: _Frame) -> Tensor:
    return frame.inside(1.0 + frame.uniform(0.2, 0.4) * torch.cos(frame.whole(3, 6) * frame.angle))


def _star(frame: _Frame) -> Tensor:
    spike = torch.cos(frame.whole(4, 9) * frame.angle / 2).abs() ** 6
    return frame.inside(0.5 + frame.uniform(0.6, 1.2) * spike)


def _rays(frame: _Frame) -> Tensor:
    ray = torch.cos(frame.whole(4, 9) * frame.angle / 2).abs() ** 12
    return ray * frame.inside(1.5) * (1 - torch.exp(-4 * frame.radius**2))


def _ring(frame: _Frame) -> Tensor:
    return torch.exp(-(((frame.radius - 1) / frame.uniform(0.15, 0.3)) ** 2))


def _dots(frame: _Frame) -> Tensor:
    along, across = frame.offset()
    dots = torch.zeros_like(along)
    for _ in range(_DOTS):
        squared = (along - frame.uniform(-1, 1)) ** 2 + (across - frame.uniform(-1, 1)) ** 2
        dots += (frame.uniform(0, 1) < 0.7) * torch.exp(-squared / frame.uniform(0.08, 0.15) ** 2)
    return dots


def _arc(frame: _Frame) -> Tensor:
    ring = torch.exp(-(((frame.radius - 1) / frame.uniform(0.12, 0.25)) ** 2))
    return ring * torch.sigmoid(8 * (torch.cos(frame.angle) - frame.uniform(-0.2, 0.6)))


def _grating(frame: _Frame) -> Tensor:
    along, _ = frame.offset()
    return torch.cos(frame.uniform(5, 9) * along) * torch.exp(-(frame.radius**2) / 2)


def _polygon(frame: _Frame) -> Tensor:
    half = math.pi / frame.whole(3, 5)
    return frame.inside(torch.cos(half) / torch.cos(torch.remainder(frame.angle, 2 * half) - half))


_FORMULAS: dict[str, Callable[[_Frame], Tensor]] = {
    "disc": _disc,
    "blob": _blob,
    "lobes": _lobes,
    "star": _star,
    "rays": _rays,
    "ring": _ring,
    "dots": _dots,
    "arc": _arc,
    "grating": _grating,
    "polygon": _polygon,
}
SHAPES = tuple(_FORMULAS)


def shape_images(count: int, size: int, generator: Generator) -> ShapeImages:
    """Draw square images of `size` pixels, each with a random subset of the shapes."""
    images = _noise(count, size, generator)
    masks = torch.zeros(count, len(SHAPES), size, size)
    for index, formula in enumerate(_FORMULAS.values()):
        chosen = (torch.rand(count, generator=generator) < _PRESENCE).nonzero().squeeze(1)
        shape = formula(_frame(len(chosen), size, generator))
        contrast = _uniform(len(chosen), *_CONTRAST, generator)
        contrast *= 2 * torch.randint(0, 2, contrast.shape, generator=generator) - 1
        images[chosen] += contrast.view(-1, 1, 1) * shape
        masks[chosen, index] = (shape > _VISIBLE).float()
    gain = _uniform(count, *_GAIN, generator).view(-1, 1, 1)
    images = (_uniform(count, *_BRIGHTNESS, generator).view(-1, 1, 1) + gain * images).clamp(0, 1)
    object_ = _object(count, size, generator)
    return ShapeImages((images * object_).unsqueeze(1), masks * (object_ > 0.5).unsqueeze(1))


def _object(count: int, size: int, generator: Generator) -> Tensor:
    """Share of each pixel (count, size, size) that lies on the object: all of it, or one side of a large circle."""
    radius = size * torch.exp(_uniform(count, math.log(0.8), math.log(3.0), generator)).view(-1, 1, 1)
    reach = size * _uniform(count, -0.3, 0.45, generator).view(-1, 1, 1)  # of the circle's rim beyond the middle
    angle = _uniform(count, 0, 2 * math.pi, generator).view(-1, 1, 1)
    softness = _uniform(count, 0.4, 2.0, generator).view(-1, 1, 1)  # in pixels
    rows, columns = torch.meshgrid(torch.arange(size) - size / 2, torch.arange(size) - size / 2, indexing="ij")
    down = rows - (reach - radius) * torch.cos(angle)
    right = columns - (reach - radius) * torch.sin(angle)
    inside = torch.sigmoid((radius - torch.hypot(down, right)) / softness)
    whole = torch.rand(count, 1, 1, generator=generator) >= _BORDERED
    return torch.where(whole, 1.0, inside)


def _frame(count: int, size: int, generator: Generator) -> _Frame:
    radius = torch.exp(_uniform(count, math.log(_RADIUS[0]), math.log(_RADIUS[1]), generator)).view(-1, 1, 1)
    center = size * _uniform(2 * count, 0.15, 0.85, generator).view(2, -1, 1, 1)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    down, right = rows - center[0], columns - center[1]
    turn = _uniform(count, 0, 2 * math.pi, generator).view(-1, 1, 1)
    edge = _uniform(count, 0.4, 1.2, generator).view(-1, 1, 1) / radius
    return _Frame(torch.hypot(down, right) / radius, torch.atan2(down, right) + turn, edge, generator)


def _noise(count: int, size: int, generator: Generator) -> Tensor:
    """Noise (count, size, size) of zero mean and unit variance whose amplitude falls with a power of the frequency."""
    frequency = torch.hypot(torch.fft.fftfreq(size).view(-1, 1), torch.fft.rfftfreq(size))
    frequency[0, 0] = torch.inf
    exponent = _uniform(count, *_NOISE_EXPONENT, generator).view(-1, 1, 1)
    white = torch.randn(count, size, size, generator=generator)
    noise = torch.fft.irfft2(torch.fft.rfft2(white) * frequency**-exponent, s=(size, size))
    return noise / noise.std(dim=(1, 2), keepdim=True)


def _uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)
