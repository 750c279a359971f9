"""Data-parallel training: each process of a torch.distributed group, a rank, has a part of every batch.

What the ranks compute together is what one process computes, up to the order of sums: batch norm has the mean and the
variance of the whole batch, dropout its mask, and the gradients are those of the mean loss of all samples.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, distributed, nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def rank() -> int:
    """Return the number of this process in its group; 0 without one."""
    return distributed.get_rank() if _grouped() else 0


def rank_count() -> int:
    """Return how many processes train together; 1 without a group."""
    return distributed.get_world_size() if _grouped() else 1


@dataclass
class Share:
    """The part of this rank in the present batch: every `rank_count`-th sample.

    A batch has one class in each half, so that every rank has as many of both, but for one sample.

    Attributes
    ----------
    total
        Samples of the whole batch.
    """

    total: int = 0

    @property
    def rows(self) -> slice:
        """Which samples of the batch they are; there may be none in a last batch of few."""
        return slice(rank(), self.total, rank_count())


def for_ranks(network: nn.Module, share: Share) -> nn.Module:
    """Replace batch norm and dropout, in place, by layers that have the whole batch in view; names stay."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, BatchNorm):
                setattr(parent, name, _SharedBatchNorm(child, share))
            elif isinstance(child, nn.Dropout):
                setattr(parent, name, _SharedDropout(child.p, share))
    return network


def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add the gradients of all ranks: one at a time, because DDP would keep a second copy of those of every head."""
    for parameter in parameters:
        distributed.all_reduce(cast(Tensor, parameter.grad))


def added(values: Tensor) -> Tensor:
    """Return the sum over all ranks, which passes gradients on to each."""
    summed: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return summed


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_: object, values: Tensor) -> Tensor:
        summed = values.clone()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        return _Sum.forward(_, gradient)


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm of a whole batch. torch's SyncBatchNorm is for cards alone."""

    def __init__(self, own: BatchNorm, share: Share) -> None:
        super().__init__(own.num_features, own.eps, own.momentum)
        self.load_state_dict(own.state_dict())
        self.to(own.weight.device)
        self.share = share

    def _check_input_dim(self, _: Tensor) -> None:
        """Accept every shape that the layer in its place accepted."""

    def forward(self, values: Tensor) -> Tensor:
        """Return normalized values of shape (N, C, ...)."""
        if not self.training:
            return super().forward(values)
        own = values.float()
        dims, shape = [0, *range(2, own.ndim)], [1, -1, *[1] * (own.ndim - 2)]
        count = self.share.total * math.prod(own.shape[2:])
        mean = added(own.sum(dims)) / count
        centered = own - mean.view(shape)
        variance = added(centered.square().sum(dims)) / count
        with torch.no_grad():
            for running, found in (
                (self.running_mean, mean),
                (self.running_var, variance * (count / max(1, count - 1))),
            ):
                cast(Tensor, running).lerp_(found, cast(float, self.momentum))
            cast(Tensor, self.num_batches_tracked).add_(1)
        scale = self.weight / torch.sqrt(variance + self.eps)
        return (centered * scale.view(shape) + self.bias.view(shape)).to(values.dtype)


class _SharedDropout(nn.Dropout):
    """Dropout with the mask of a whole batch, which every rank draws from the same generator."""

    def __init__(self, rate: float, share: Share) -> None:
        super().__init__(rate)
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Return `values`, of which a part is 0 in training."""
        if not self.training:
            return values
        whole = torch.empty(self.share.total, *values.shape[1:], dtype=torch.bool, device=values.device)
        return values * whole.bernoulli_(1 - self.p)[self.share.rows] / (1 - self.p)


def _grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()
