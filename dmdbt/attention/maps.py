"""Heat maps of a trained head over the feature maps that it sees: Grad-CAM and occlusion.

Both are in cells of the feature map. A cell depends on an area of the image that is larger than the cell: most of the
image for the last layer of a deep backbone. A map therefore tells at which cells the head found what it used; what it
used may lie around the cell. None of them says that a finding is there, nor that the prediction is right.
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dmdbt.heads.networks import SingleModalityHead
from dmdbt.terms import Head, Modality

_SIDE_PARTS = 5  # a window covers about this part of a side
_EVERY_CELL, _BLOCKS = 16, 7  # up to so many cells a side, a window around each; else so many windows
_BATCH = 32  # windows at a time: they take an eighth of the memory of the first fully connected layer's weights


def grad_cam(head: Head, network: nn.Module, maps: Tensor) -> dict[Modality, np.ndarray]:
    """Return the Grad-CAM map of a head for each of its modalities, on the features that enter the head.

    The score is the malignant minus the benign logit. Each channel is weighted by the mean of the score's gradient
    over the cells of its modality; the weighted sum of the channels is the map, and what is below 0 becomes 0. It
    shows where channels are strong that speak for malignant, on average over the cells: the head itself weights every
    cell differently, which the mean ignores. Where nothing speaks for malignant the map is 0.

    Parameters
    ----------
    head, network
        A head and its network in eval mode, as `dmdbt.heads.read_head` returns it. Nothing of it is changed.
    maps
        float32, shape (C, h, w, M): the feature maps of one pair, for the modalities of the head in their order.

    Returns
    -------
    dict of ndarray of float32, shape (h, w)
        At least 0, in units of the score. The two maps of a joint head can be compared.

    Raises
    ------
    ValueError
        The shape of `maps` does not fit the head, or the network is in training mode.

    References
    ----------
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
    equations (1) and (2).
    """
    from captum.attr import LayerGradCam  # it imports pyplot, which takes most of a second

    _check("grad_cam", head, network, maps)
    score = _Score(network, len(head.modalities))
    with torch.inference_mode(False), torch.enable_grad():
        inputs = tuple(one.clone().unsqueeze(0).requires_grad_() for one in maps.unbind(-1))
        found = [LayerGradCam(score, layer).attribute(inputs, relu_attributions=True) for layer in score.entrances]
    arrays = [values.detach()[0, 0].float().cpu().numpy() for values in found]
    return dict(zip(head.modalities, arrays, strict=True))


@torch.inference_mode()
def occlusion(head: Head, network: nn.Module, maps: Tensor, window: int | None = None) -> dict[Modality, np.ndarray]:
    """Return by how much the probability of malignant falls where a window of cells is hidden.

    Hidden cells take the mean feature vector of their map, in one modality at a time; at the border the window is cut
    off. Features are hidden, not pixels: cells outside the window still depend on the pixels under it, and may tell
    the head the same. That the probability hardly falls thus does not show that a place is unimportant.

    A side of more than 16 cells is divided into 7 nearly equal blocks. The window is put around the middle of each
    block, whose cells all take the value: 51 x 51 cells need 49 forward passes per modality instead of 2,601.

    Parameters
    ----------
    head, network, maps
        As in `grad_cam`.
    window
        Side of the window in cells, odd; by default about a fifth of the shorter side of the map.

    Returns
    -------
    dict of ndarray of float32, shape (h, w)
        -1 to 1; negative where the probability rises.

    Raises
    ------
    ValueError
        As `grad_cam`, or the window is not odd and positive.
    """
    # captum's Occlusion gives every cell the mean over all windows that cover it, not the value of the window around
    # it, and its FeatureAblation allows no windows that overlap.
    _check("occlusion", head, network, maps)
    rows, columns = maps.shape[1:3]
    window = min(rows, columns) // _SIDE_PARTS | 1 if window is None else window
    if window < 1 or window % 2 == 0:
        raise ValueError(f"occlusion: expected an odd window of at least 1 cell, got {window}")
    block_of_row, block_of_column = _blocks(rows), _blocks(columns)
    windows = [(r, c) for r in _windows(block_of_row, window) for c in _windows(block_of_column, window)]
    # The first layer is affine and treats every cell alike: it runs once, and a hidden cell takes the mean of what its
    # modality adds to the output. That equals the output for the mean feature vector.
    layers = cast(SingleModalityHead, network)
    first, rest = cast(nn.Conv2d, layers.convolution[0]), nn.Sequential(layers.convolution[1:], layers.classifier)
    added = [
        functional.conv2d(one.unsqueeze(0), weight)
        for one, weight in zip(maps.unbind(-1), first.weight.chunk(maps.shape[-1], dim=1), strict=True)
    ]
    seen = torch.stack(added).sum(dim=0) + cast(Tensor, first.bias)[:, None, None]
    falls = {}
    for modality, one in zip(head.modalities, added, strict=True):
        fall = _falls(rest, seen, one.mean(dim=(-2, -1), keepdim=True) - one, windows)
        of_blocks = fall.reshape(block_of_row[-1] + 1, block_of_column[-1] + 1)
        falls[modality] = of_blocks[np.ix_(block_of_row, block_of_column)]
    return falls


class _Score(nn.Module):
    """Malignant minus benign logit of a head, with one layer per modality that captum can watch."""

    def __init__(self, network: nn.Module, n_modalities: int) -> None:
        super().__init__()
        self.network = network
        self.entrances = nn.ModuleList(nn.Identity() for _ in range(n_modalities))

    def forward(self, *maps: Tensor) -> Tensor:
        """Return scores (N,) of feature maps (N, C, h, w), one per modality."""
        entered = [entrance(one) for entrance, one in zip(self.entrances, maps, strict=True)]
        logits: Tensor = self.network(torch.stack(entered, dim=-1) if len(entered) > 1 else entered[0])
        return logits[:, 1] - logits[:, 0]


def _check(name: str, head: Head, network: nn.Module, maps: Tensor) -> None:
    if maps.ndim != 4 or maps.shape[-1] != len(head.modalities):
        expected = f"maps (C, h, w, {len(head.modalities)}) for the head {head}"
        raise ValueError(f"{name}: expected {expected}, got {tuple(maps.shape)}")
    if network.training:
        raise ValueError(f"{name}: expected a network in eval mode, got one in training mode")


def _blocks(side: int) -> np.ndarray:
    """Return the block of each cell along a side, int of shape (side,)."""
    return np.arange(side) * (side if side <= _EVERY_CELL else _BLOCKS) // side


def _windows(blocks: np.ndarray, window: int) -> list[slice]:
    """Return the window around the middle of each block, without what lies beyond the map."""
    middles = [int(np.median(np.flatnonzero(blocks == block))) for block in range(blocks[-1] + 1)]
    return [slice(max(0, middle - window // 2), middle + window // 2 + 1) for middle in middles]


def _falls(rest: nn.Module, seen: Tensor, change: Tensor, windows: list[tuple[slice, slice]]) -> np.ndarray:
    """Fall of the probability of malignant when `change` is added to `seen`, both (1, F, h, w), in each window."""
    hidden = [_probabilities(rest, seen)]
    for start in range(0, len(windows), _BATCH):
        chosen = windows[start : start + _BATCH]
        batch = seen.repeat(len(chosen), 1, 1, 1)
        for one, (r, c) in zip(batch, chosen, strict=True):
            one[:, r, c] += change[0, :, r, c]
        hidden.append(_probabilities(rest, batch))
    whole, *others = torch.cat(hidden).cpu().numpy()
    return (whole - np.array(others)).astype(np.float32)


def _probabilities(rest: nn.Module, seen: Tensor) -> Tensor:
    """Probability of malignant, shape (N,), in float64, so that small falls from 1 are kept."""
    return torch.softmax(rest(seen.contiguous(memory_format=torch.channels_last)).double(), dim=1)[:, 1]
