import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dmdbt.terms import Head, Modality
from dmdbt.viewer.pictures import first_maps, full_color, gray_range, reduced, thumbnail
from tests.support.views import DM_GRAY, case_view, heat_map, without


def read(content):
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.mode) == ("JPEG", "L")
    return np.asarray(image)


def test_the_thumbnail_is_the_mammogram_or_else_the_middle_slice():
    assert read(thumbnail(case_view())).shape == (160, 128)
    assert read(thumbnail(case_view()))[80, 64] == pytest.approx(DM_GRAY, abs=1)
    of_volume = read(thumbnail(without(Modality.DM)))
    assert of_volume.shape == (100, 80)
    assert of_volume.mean() == pytest.approx(70, abs=1)
    with pytest.raises(ValueError, match="expected a mammogram or slices, got neither"):
        thumbnail(replace(without(Modality.DM), slices=None))


def test_a_reduced_image_keeps_its_shape_and_is_never_enlarged():
    image = np.arange(300 * 200, dtype=np.uint16).reshape(300, 200)
    assert reduced(image, 150).shape == (150, 100)
    assert reduced(image, 1000).shape == (300, 200)


def test_gray_levels_of_16_bits_reach_from_black_to_white_and_those_of_8_bits_stay():
    image = np.linspace(100, 4095, 256).astype(np.uint16).reshape(16, 16)
    assert gray_range(image) == (100, 4095)
    assert np.abs(reduced(image, 16).ravel() - np.arange(256.0)).max() <= 1
    dark = np.full((16, 16), 7, np.uint8)
    assert np.array_equal(reduced(dark, 16), dark)
    assert reduced(np.full((4, 4), 9, np.uint16), 4).max() == 0


def test_the_first_maps_are_those_of_the_joint_head_and_of_occlusion_if_there_are_any():
    shown = first_maps(case_view())
    assert [(of.backbone, of.head, of.method, of.modality) for of in shown] == [
        ("alexnet", Head.DM_DBT, "occlusion", modality) for modality in Modality
    ]
    assert [(of.head, of.method) for of in first_maps(without(Modality.DBT))] == [(Head.DM, "occlusion")]
    without_occlusion = [of for of in case_view().heat if of.method == "grad_cam"]
    assert [of.method for of in first_maps(case_view(heat=without_occlusion))] == ["grad_cam"] * 2
    assert first_maps(case_view(heat=[])) == []


def test_the_full_color_is_the_largest_value_but_small_effects_of_hiding_stay_pale():
    one, other = (heat_map("occlusion", "alexnet", Head.DM_DBT, modality) for modality in Modality)
    assert full_color([one, replace(other, values=-3 * other.values)]) == 1.5
    assert full_color([replace(one, values=one.values / 1000)]) == 0.01
    assert full_color([replace(one, method="grad_cam", values=one.values / 1000)]) == pytest.approx(0.0005)
    assert full_color([replace(one, method="grad_cam", values=0 * one.values)]) > 0
