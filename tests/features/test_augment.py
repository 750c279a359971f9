import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.features.augment import COPIES, augmented


@given(st.integers(1, 9), st.randoms(use_true_random=False))
def test_a_rotation_is_a_quarter_turn_counterclockwise(size, random):
    image = torch.tensor([[random.random() for _ in range(size)] for _ in range(size)])
    names = ["rot90", "rot180", "rot270"]
    for quarters, turned in enumerate(augmented(image[None, None], names), start=1):
        np.testing.assert_array_equal(turned[0], np.rot90(image.numpy(), quarters))


def test_the_flip_exchanges_left_and_right():
    image = torch.arange(4.0).reshape(1, 1, 2, 2)
    assert augmented(image, ["original", "flip"]).squeeze(1).tolist() == [[[0, 1], [2, 3]], [[1, 0], [3, 2]]]


def test_the_five_copies_of_an_image_are_five_different_images():
    copies = augmented(torch.arange(9.0).reshape(1, 1, 3, 3), list(COPIES))
    assert len({tuple(copy.flatten().tolist()) for copy in copies}) == len(COPIES) == 5


def test_the_copies_of_an_image_follow_one_another():
    images = torch.arange(2 * 3 * 16.0).reshape(2, 3, 4, 4)
    together = augmented(images, ["flip", "rot90"])
    assert torch.equal(together[:2], augmented(images[:1], ["flip", "rot90"]))
    assert torch.equal(together[2:], torch.stack([images[1].flip(-1), images[1].rot90(1, (-2, -1))]))
