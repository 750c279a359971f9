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

_RADIUS = (4.0, 10.0)  # in pixels, whatever the size of the image; log-uniform
_CONTRAST = (3.0, 12.0)  # of a shape, in standard deviations of the noise; brighter, as a body is in a radiograph
_NOISE_EXPONENT = (1.0, 1.7)  # of the amplitude spectrum
_BRIGHTNESS = (0.2, 0.7)  # mean of an image, in 0..1
_GAIN = (0.03, 0.15)  # standard deviation of the noise, in 0..1; log-uniform
_DOTS, _GRAINS = 10, 30
_BORDERED = 0.3  # share of images that end at a curved border, black beyond it, as an object on a dark ground does


class ShapeImages(NamedTuple):
    """A batch: `images` (N, 1, H, W) in 0..1, and the index of the one shape in each, int (N,), in `SHAPES`."""

    images: Tensor
    shapes: Tensor


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


def _dust(frame: _Frame) -> Tensor:
    along, across = frame.offset()
    dust = torch.zeros_like(along)
    share = frame.uniform(0.4, 1)
    for _ in range(_GRAINS):
        squared = (along - frame.uniform(-1, 1)) ** 2 + (across - frame.uniform(-1, 1)) ** 2
        dust += (frame.uniform(0, 1) < share) * frame.uniform(0.4, 1) * torch.exp(-squared / (0.6 * frame.edge) ** 2)
    return dust


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
    "dust": _dust,
    "arc": _arc,
    "grating": _grating,
    "polygon": _polygon,
}
SHAPES = tuple(_FORMULAS)


def shape_images(count: int, size: int, generator: Generator) -> ShapeImages:
    """Draw square images of `size` pixels, each with one shape."""
    images = _noise(count, size, generator)
    shapes = torch.randint(len(SHAPES), (count,), generator=generator)
    for index, formula in enumerate(_FORMULAS.values()):
        chosen = (shapes == index).nonzero().squeeze(1)
        contrast = _uniform(len(chosen), *_CONTRAST, generator).view(-1, 1, 1)
        images[chosen] += contrast * formula(_frame(len(chosen), size, generator))
    gain = _log_uniform(count, *_GAIN, generator).view(-1, 1, 1)
    images = (_uniform(count, *_BRIGHTNESS, generator).view(-1, 1, 1) + gain * images).clamp(0, 1)
    return ShapeImages((images * _object(count, size, generator)).unsqueeze(1), shapes)


def _object(count: int, size: int, generator: Generator) -> Tensor:
    """Share of each pixel (count, size, size) that lies on the object: all of it, or one side of a large circle."""
    radius = size * _log_uniform(count, 0.8, 3.0, generator).view(-1, 1, 1)
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
    radius = _log_uniform(count, *_RADIUS, generator).view(-1, 1, 1)
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


def _log_uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.exp(_uniform(count, math.log(low), math.log(high), generator))
