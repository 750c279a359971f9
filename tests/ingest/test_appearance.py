import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.imaging import resize
from dmdbt.ingest.appearance import chest_wall_side, is_blank, texture_hash
from dmdbt.terms import Laterality
from tests.support.breasts import breast, volume


@given(st.sampled_from(Laterality), st.integers(0, 1000), st.sampled_from([np.uint8, np.uint16]))
def test_the_chest_wall_is_where_the_breast_is_and_an_even_image_does_not_tell(side, seed, dtype):
    image = (breast(seed, side=side) // 16).astype(dtype)
    assert chest_wall_side(image) == side
    assert chest_wall_side(np.hstack([image, image[:, ::-1]])) == ""


@given(st.integers(0, 1000))
def test_the_texture_hash_of_a_flipped_breast_is_that_of_the_other_side(seed):
    image = breast(seed)
    assert texture_hash(image, Laterality.LEFT) == texture_hash(image[:, ::-1], Laterality.RIGHT)


@given(st.integers(0, 1000))
def test_a_texture_hash_outlives_size_window_and_noise_and_tells_patients_apart(seed):
    def distance(one, other):
        left, right = (int(texture_hash(image, Laterality.LEFT), 16) for image in (one, other))
        return (left ^ right).bit_count()

    image = breast(seed, rows=256, columns=192)
    half = resize(image, 128, 96).astype(np.uint16)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 15, image.shape), 0, 4095).astype(np.uint16)
    for copy in (half, noisy, image // 2):
        assert distance(image * 16, copy * 16) <= 48
    assert distance(image * 16, breast(seed + 1, rows=256, columns=192) * 16) > 48


def test_a_slice_without_contrast_is_blank():
    assert is_blank(np.full((4, 4), 9, np.uint8))
    assert not is_blank(volume(0)[0])
