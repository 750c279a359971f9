import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn

from dmdbt.backbones import shapes
from dmdbt.backbones.architectures import create_classifier, feature_extractor
from dmdbt.backbones.procedural import add_batch_norms, draw_filters, fold_batch_norms, pretrain
from dmdbt.backbones.shapes import SHAPES, shape_images

pytestmark = pytest.mark.usefixtures("one_thread")


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 5), size=st.integers(16, 65), seed=st.integers(0, 1000))
def test_shape_images_are_finite_gray_levels(count: int, size: int, seed: int) -> None:
    batch = shape_images(count, size, Generator().manual_seed(seed))
    assert batch.images.shape == (count, 1, size, size)
    assert batch.shapes.shape == (count,)
    assert batch.images.min() >= 0
    assert batch.images.max() <= 1
    assert set(batch.shapes.tolist()) <= set(range(len(SHAPES)))


def test_equal_generators_draw_equal_images() -> None:
    first, again, other = (shape_images(4, 32, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.shapes, again.shapes)
    assert not torch.equal(first.images, other.images)


def test_every_shape_appears_about_as_often() -> None:
    counts = shape_images(1100, 16, Generator().manual_seed(5)).shapes.bincount(minlength=len(SHAPES))
    assert (counts > 60).all()
    assert (counts < 150).all()


def test_a_shape_is_brighter_than_the_noise_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_BORDERED", 0.0)
    batch = shape_images(400, 48, Generator().manual_seed(6))
    excess = (batch.images - batch.images.median()).amax(dim=(1, 2, 3))
    monkeypatch.setattr(shapes, "_CONTRAST", (0.0, 0.0))
    noise = shape_images(400, 48, Generator().manual_seed(6))
    assert torch.equal(batch.shapes, noise.shapes)
    brighter = excess > (noise.images - noise.images.median()).amax(dim=(1, 2, 3))
    for index, name in enumerate(SHAPES):
        assert brighter[batch.shapes == index].float().mean() > 0.6, name


@pytest.mark.parametrize("name", ["alexnet", "squeezenet", "resnet"])
def test_first_filters_see_gray_and_ignore_the_mean(name: str) -> None:
    backbone = feature_extractor(create_classifier(name, 18))
    conv = next(module for module in backbone.modules() if isinstance(module, nn.Conv2d))
    draw_filters(conv, Generator().manual_seed(1))
    torch.testing.assert_close(conv.weight[:, 0], conv.weight[:, 2])
    torch.testing.assert_close(conv.weight.sum(dim=(1, 2, 3)), torch.zeros(conv.out_channels), atol=1e-5, rtol=0)
    torch.testing.assert_close(conv.weight.sum(dim=1).square().sum(dim=(1, 2)), torch.ones(conv.out_channels))
    assert len(torch.unique(conv.weight, dim=0)) == conv.out_channels


@pytest.mark.parametrize("name", ["alexnet", "squeezenet"])
def test_folded_batch_norms_leave_the_outputs_and_the_layout_alone(name: str) -> None:
    backbone = feature_extractor(create_classifier(name))
    layout = {key: tensor.shape for key, tensor in backbone.state_dict().items()}
    add_batch_norms(backbone)
    backbone.double()
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2, generator=Generator().manual_seed(1))
                module.bias.uniform_(-1, 1, generator=Generator().manual_seed(2))
        backbone(torch.rand(8, 3, 64, 64, dtype=torch.float64, generator=Generator().manual_seed(3)))
        backbone.eval()
        images = torch.rand(2, 3, 64, 64, dtype=torch.float64, generator=Generator().manual_seed(4))
        before = backbone(images)
        fold_batch_norms(backbone)
        torch.testing.assert_close(backbone(images), before)
    assert {key: tensor.shape for key, tensor in backbone.state_dict().items()} == layout


@pytest.mark.parametrize("name", ["squeezenet", "resnet"])
def test_pre_training_twice_gives_equal_bits_whatever_ran_before(name: str) -> None:
    budget = {"steps": 2, "batch_size": 4, "image_size": 32, "seed": 3}
    first, first_loss = pretrain(name, 18, **budget)
    torch.rand(7)
    threads = torch.get_num_threads()
    again, again_loss = pretrain(name, 18, **budget)
    assert first_loss == again_loss
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert torch.get_num_threads() == threads


def test_another_seed_gives_other_weights() -> None:
    first, other = (pretrain("squeezenet", steps=1, batch_size=4, image_size=48, seed=seed)[0] for seed in (1, 2))
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])


@pytest.mark.parametrize("name", ["alexnet", "resnet", "densenet", "squeezenet"])
def test_the_result_is_in_the_layout_of_torchvision(name: str) -> None:
    state_dict, _ = pretrain(name, 18, steps=1, batch_size=2, image_size=32, seed=1)
    expected = create_classifier(name, 18).state_dict()
    assert all(tensor.shape == expected[key].shape for key, tensor in state_dict.items())
    assert feature_extractor(create_classifier(name, 18)).state_dict().keys() == state_dict.keys()
    assert all(torch.isfinite(tensor).all() for tensor in state_dict.values())


@pytest.mark.slow
def test_pre_training_reduces_its_loss() -> None:
    losses = [pretrain("squeezenet", steps=steps, batch_size=16, image_size=48, seed=1)[1] for steps in (5, 60)]
    assert losses[1] < 0.97 * losses[0]


SUMS = [-13.242, 16.198, 6.689, 14.443, 55.684, 7.220, 64.983, 13.526, -30.259, 237.457, 9.220, -3.074]
BITS_OF_AVX2 = "f19ffd053df050e5"


def test_the_images_of_a_seed_are_those_that_backbones_were_pre_trained_on() -> None:
    """Last bits depend on the processor's instructions; where those are known, no change of the code moves one."""
    batch = shape_images(12, 40, Generator().manual_seed(3))
    assert batch.shapes.tolist() == [8, 8, 7, 3, 3, 1, 5, 9, 3, 10, 3, 4]
    sums = (batch.images * torch.linspace(-1, 1, 1600).view(40, 40)).sum(dim=(1, 2, 3))
    torch.testing.assert_close(sums, torch.tensor(SUMS), atol=2e-3, rtol=0)
    if torch.backends.cpu.get_cpu_capability() == "AVX2":
        assert hashlib.sha256(batch.images.numpy().tobytes()).hexdigest()[:16] == BITS_OF_AVX2
