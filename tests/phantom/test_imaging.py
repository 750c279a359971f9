import dataclasses
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.phantom import FindingType, PhantomSettings, image_pair, patients
from dmdbt.phantom.anatomy import MU_FAT, SOURCE_MM, compress
from dmdbt.phantom.exposure import Detector, area_weights, expose, line_integrals
from dmdbt.phantom.imaging import slice_heights_mm
from dmdbt.phantom.paddles import LARGE_FIELD_MM, SMALL_FIELD_MM, choose_frame
from dmdbt.phantom.tomosynthesis import project, reconstruct, tube_shifts
from dmdbt.terms import Laterality, View

SETTINGS = PhantomSettings()
SMALL = PhantomSettings(patients=60, dm_rows=256, dm_columns=208, dbt_size=128)


@cache
def pair_of(index, view, settings):
    return image_pair(patients(settings)[index], view, settings)


def exponent(image, pixel_mm, band):
    """Slope of the power spectrum: Hann window, rings of equal width on the logarithm, least squares."""
    window = np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    image = (image - (image * window).sum() / window.sum()) * window
    power = np.abs(np.fft.fft2(image)) ** 2
    frequency = np.hypot(
        *np.meshgrid(*(np.fft.fftfreq(n, d) for n, d in zip(image.shape, pixel_mm, strict=True)), indexing="ij")
    )
    edges = np.geomspace(*band, 9)
    rings = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    rings = [ring for ring in rings if ring.any()]
    x = [np.log(frequency[ring]).mean() for ring in rings]
    y = [np.log(power[ring].mean()) for ring in rings]
    return -np.polyfit(x, y, 1)[0]


def middle(image, pixel_mm):
    """50 x 50 mm of the breast, 10 mm from the chest wall."""
    row = image.shape[-2] / 2
    rows = slice(int(row - 25 / pixel_mm[0]), int(row + 25 / pixel_mm[0]))
    return image[..., rows, int(10 / pixel_mm[1]) : int(60 / pixel_mm[1])].astype(float)


@pytest.mark.slow
def test_anatomical_noise_has_the_published_exponents():
    settings = dataclasses.replace(SETTINGS, contrast=0.0)
    mammograms, slices = [], []
    chosen = [patient for patient in patients(settings) if patient.laterality is Laterality.LEFT][:10]
    for patient in chosen:
        pair = image_pair(patient, View.CC, settings)
        mammograms.append(
            exponent(middle(pair.mammogram, pair.mammogram_pixel_mm), pair.mammogram_pixel_mm, (0.08, 0.6))
        )
        for image in middle(pair.slices[6:-6:4], pair.slice_pixel_mm):
            slices.append(exponent(image, pair.slice_pixel_mm, (0.08, 0.4)))
    assert 3.0 < np.mean(mammograms) < 3.4
    assert 2.8 < np.mean(slices) < 3.3


@given(st.integers(8, 40), st.integers(1, 6), st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_every_projection_has_the_sum_of_the_layers(rows, layers, projections, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((layers, rows, 3)).astype(np.float32)
    projected = project(values, rng.uniform(-5, 5, (projections, layers)))
    expected = np.broadcast_to(values.sum(axis=(0, 1)), (projections, 3))
    np.testing.assert_allclose(projected.sum(axis=1), expected, rtol=1e-4)


def test_a_projection_by_whole_rows_is_the_sum_of_rolled_layers():
    layers = np.random.default_rng(0).random((3, 20, 4)).astype(np.float32)
    shifts = np.array([[0, 2, -3], [1, 1, 5]])
    slow = [sum(np.roll(layer, shift, axis=0) for layer, shift in zip(layers, row, strict=True)) for row in shifts]
    np.testing.assert_allclose(project(layers, shifts), slow, atol=1e-5)


def test_the_shift_of_a_height_is_that_of_a_ray_from_the_tube():
    heights = np.array([20.0, 45.0, 90.0])
    row_mm = 0.91
    angles = np.deg2rad(np.linspace(-7.5, 7.5, 15))
    shifts = tube_shifts(heights, row_mm, SETTINGS)
    for angle, row in zip(angles, shifts, strict=True):
        tube = np.array([SOURCE_MM * np.tan(angle), SOURCE_MM])
        for height, shift in zip(heights, row, strict=True):
            point = np.array([30.0, height])
            hit = tube + (point - tube) * SOURCE_MM / (SOURCE_MM - height)
            central = 30.0 * SOURCE_MM / (SOURCE_MM - height)
            assert shift * row_mm == pytest.approx(hit[0] - central)


def test_a_point_is_sharpest_in_its_own_slice_and_symmetric():
    heights = slice_heights_mm(52.0, 2.0)
    layers = np.zeros((26, 300, 1), np.float32)
    layers[13, 150] = 1
    volume = reconstruct(
        project(layers, tube_shifts(heights[2:-2], 1.0, SETTINGS)), tube_shifts(heights, 1.0, SETTINGS)
    )[..., 0]
    assert volume.max(axis=1).argmax() == 15
    np.testing.assert_allclose(volume[15, 151:160], volume[15, 149:140:-1], atol=1e-5)
    # Out of its slice a point leaves a trace: the angles are few.
    assert volume[5, 140:160].max() > 0.01


@pytest.mark.parametrize("view", list(View))
def test_calcifications_are_sharpest_in_their_own_slice(view):
    settings = dataclasses.replace(SETTINGS, codec="raw")
    chosen = [p for p in patients(settings) if p.finding is FindingType.COARSE_CALCIFICATIONS][:4]
    for patient in chosen:
        pair = image_pair(patient, view, settings)
        without = image_pair(patient, view, dataclasses.replace(settings, contrast=0.0))
        difference = pair.slices.astype(float) - without.slices
        rows, columns = (int(pair.finding_row * 256), int(pair.finding_column * 256))
        near = difference[:, max(rows - 14, 0) : rows + 14, max(columns - 18, 0) : columns + 18]
        sharpness = (np.diff(near, axis=1) ** 2).sum(axis=(1, 2))
        # Single grains lie within a radius of the center.
        assert abs(int(sharpness.argmax()) - pair.finding_slice) * 2 <= patient.radius_mm


def test_the_mammogram_and_the_layers_conserve_what_is_in_the_way_of_the_rays():
    patient = patients(SMALL)[1]
    breast = compress(patient, View.CC)
    frame = choose_frame(breast, SMALL)
    paths, layers = line_integrals(patient, breast, frame, SMALL)
    dm_area, dbt_area = np.prod(frame.dm_pixel_mm), np.prod(frame.dbt_pixel_mm)
    assert layers.values.sum() * dbt_area == pytest.approx(paths.sum() * dm_area, rel=1e-4)


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.5, 2), st.floats(-1, 1))
def test_area_averages_conserve_what_both_grids_cover(fine, coarse, stretch, start):
    fine_edges = np.linspace(0, 1, fine + 1)
    coarse_edges = start + np.linspace(0, stretch, coarse + 1)
    weights = area_weights(fine_edges, coarse_edges).toarray()
    overlap = np.clip(
        np.minimum(fine_edges[1:], coarse_edges[1:, None]) - np.maximum(fine_edges[:-1], coarse_edges[:-1, None]),
        0,
        None,
    )
    np.testing.assert_allclose(weights, overlap / np.diff(coarse_edges)[:, None], atol=1e-6)


def test_more_dose_means_less_noise_and_a_flat_field_keeps_its_line_integral():
    paths = np.full((200, 200), 2.5, np.float32)
    noise = []
    for photons in (4e4, 4e6):
        detector = Detector(photons, (0.5, 0.5), scatter_ratio=0.0, blur_mm=0.0)
        measured = expose(paths, detector, np.random.default_rng(0), average_path=2.5)
        assert measured.mean() == pytest.approx(2.5, abs=0.002)
        noise.append(measured.std())
        electronic = 5.0**2 * 0.25 / 0.07**2
        assert measured.std() == pytest.approx(np.sqrt(photons / 4 + electronic) / (photons / 4), rel=0.05)
    assert noise[1] < noise[0] / 9


def test_scatter_lowers_contrast():
    paths = np.full((100, 100), 2.5, np.float32)
    paths[40:60, 40:60] += 0.5
    contrasts = []
    for ratio in (0.0, 0.1, 0.45):
        detector = Detector(1e9, (1.0, 1.0), scatter_ratio=ratio, blur_mm=0.0)
        measured = expose(paths, detector, np.random.default_rng(0), average_path=2.5)
        contrasts.append(measured[50, 50] - measured[10, 10])
    assert contrasts[0] == pytest.approx(0.5, abs=0.01)
    assert contrasts[0] > contrasts[1] > contrasts[2] > 0.2


@pytest.mark.parametrize("view", list(View))
def test_images_have_a_black_background_and_an_unsaturated_breast(view):
    for index in range(6):
        pair = pair_of(index, view, SMALL)
        assert pair.mammogram.dtype == np.uint16
        assert pair.mammogram.max() < 4096
        assert np.mean(pair.mammogram == 0) > 0.3
        assert np.mean(pair.mammogram == 4095) < 0.002
        assert np.mean(pair.slices == 255) < 0.002
        inside = pair.slices[len(pair.slices) // 2] > 0
        assert 0.08 < inside.mean() < 0.6


@pytest.mark.parametrize("view", list(View))
def test_the_chest_wall_is_left_in_left_breasts_and_right_in_right_ones(view):
    for index in range(8):
        patient, pair = patients(SMALL)[index], pair_of(index, view, SMALL)
        columns = (pair.mammogram > 0).sum(axis=0)
        left, right = columns[:20].sum(), columns[-20:].sum()
        assert (left > right) == (patient.laterality is Laterality.LEFT)
        assert (pair.finding_column < 0.5) == (patient.laterality is Laterality.LEFT)


def test_both_modalities_show_the_breast_at_the_same_place():
    for index in range(4):
        pair = pair_of(index, View.MLO, SMALL)
        mammogram = pair.mammogram > 200
        rows, columns = (((np.arange(count) + 0.5) / count * 128).astype(int) for count in mammogram.shape)
        volume = pair.slices[len(pair.slices) // 2] > 0
        same = mammogram == volume[np.ix_(rows, columns)]
        assert same.mean() > 0.97


def test_the_muscle_is_at_the_chest_wall_at_the_top_of_oblique_views_alone():
    patient = patients(SMALL)[0]
    for view, bright in ((View.MLO, True), (View.CC, False)):
        breast = compress(patient, view)
        paths, _ = line_integrals(patient, breast, choose_frame(breast, SMALL), SMALL)
        corner = paths[: SMALL.dm_rows // 10, : SMALL.dm_columns // 12].mean()
        assert (corner > patient.thickness_mm * MU_FAT) is np.bool_(bright)


def test_the_number_of_slices_follows_the_thickness():
    assert len(slice_heights_mm(34.0, 2.0)) == 21
    assert len(slice_heights_mm(72.0, 2.0)) == 40
    counts = {len(slice_heights_mm(patient.thickness_mm, 2.0)) for patient in patients(SETTINGS)}
    assert len(counts) > 10


def test_equal_settings_give_equal_images_and_another_dose_other_noise():
    pair = pair_of(0, View.CC, SMALL)
    again = image_pair(patients(SMALL)[0], View.CC, SMALL)
    assert np.array_equal(pair.mammogram, again.mammogram)
    assert np.array_equal(pair.slices, again.slices)
    low = pair_of(0, View.CC, dataclasses.replace(SMALL, dose=0.02))
    assert not np.array_equal(pair.slices, low.slices)


def test_pixels_have_the_size_of_the_field_of_view():
    pair = pair_of(0, View.CC, SMALL)
    assert pair.mammogram.shape == (208, 160)
    assert pair.slices.shape[1:] == (128, 128)
    for image, pixel in ((pair.mammogram, pair.mammogram_pixel_mm), (pair.slices[0], pair.slice_pixel_mm)):
        assert np.multiply(image.shape, pixel) == pytest.approx(SMALL_FIELD_MM)


@pytest.mark.slow
def test_the_small_paddle_holds_what_it_is_chosen_for():
    chosen = set()
    for patient in patients(dataclasses.replace(SETTINGS, patients=30)):
        for view in View:
            breast = compress(patient, view)
            frame = choose_frame(breast, SETTINGS)
            chosen.add(frame.field_mm)
            if frame.field_mm == SMALL_FIELD_MM:
                paths, _ = line_integrals(patient, breast, frame, dataclasses.replace(SMALL, patients=30))
                assert frame.dm_pixel_mm == pytest.approx((0.56, 0.56))
                rows, columns = paths.any(axis=1), paths.any(axis=0)
                assert not rows[-1]
                assert not columns[-1]
                assert view is View.MLO or not rows[0]
    assert chosen == {SMALL_FIELD_MM, LARGE_FIELD_MM}
