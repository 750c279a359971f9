import dataclasses

import numpy as np
import pytest

from dmdbt.phantom import FindingType, PhantomSettings, image_pair, patients
from dmdbt.phantom.anatomy import MU_FAT, MU_GLAND, SUPPORT_MM, CompressedBreast, LayerGrid, compress
from dmdbt.phantom.findings import draw_shape, place
from dmdbt.phantom.tissue import draw_tissue
from dmdbt.terms import Label, View

MANY = patients(PhantomSettings(patients=3000))
SMALL = PhantomSettings(patients=40, dm_rows=128, dm_columns=104, dbt_size=64)


def grid_of(rows: int, columns: int, layers: int = 26) -> LayerGrid:
    return LayerGrid(
        np.linspace(-140, 140, rows + 1), np.linspace(0, 120, columns + 1), SUPPORT_MM + 2.0 * np.arange(layers + 1)
    )


def test_a_patient_does_not_depend_on_how_many_there_are():
    assert patients(PhantomSettings(patients=7)) == MANY[:7]


def test_another_seed_draws_other_patients():
    assert patients(PhantomSettings(patients=7, seed=1)) != MANY[:7]


def test_the_label_tells_nothing_but_the_look():
    malignant = np.array([patient.label is Label.MALIGNANT for patient in MANY])
    for name in ("thickness_mm", "depth_mm", "half_width_mm", "density", "radius_mm"):
        values = np.array([getattr(patient, name) for patient in MANY])
        assert abs(np.corrcoef(malignant, values)[0, 1]) < 0.06, name
    for axis in range(3):
        values = np.array([patient.position[axis] for patient in MANY])
        assert abs(np.corrcoef(malignant, values)[0, 1]) < 0.06, axis
    for values in ([patient.laterality for patient in MANY], [patient.views for patient in MANY]):
        for value in set(values):
            share = np.mean(malignant[[other == value for other in values]])
            assert share == pytest.approx(malignant.mean(), abs=0.06)


def test_shares_are_those_of_the_settings():
    assert np.mean([patient.label is Label.MALIGNANT for patient in MANY]) == pytest.approx(709 / 1124, abs=0.03)
    assert np.mean([patient.label is not patient.look for patient in MANY]) == pytest.approx(0.06, abs=0.015)
    assert np.mean([len(patient.views) for patient in MANY]) == pytest.approx(1.25, abs=0.03)
    assert np.median([patient.density for patient in MANY]) == pytest.approx(0.15, abs=0.01)


def test_the_finding_has_the_look_and_the_look_is_the_label_unless_ambiguous():
    benign = {FindingType.CIRCUMSCRIBED_MASS, FindingType.COARSE_CALCIFICATIONS}
    assert all((patient.finding in benign) == (patient.look is Label.BENIGN) for patient in MANY)
    clear = patients(PhantomSettings(patients=200, label_ambiguity=0.0))
    assert all(patient.look is patient.label for patient in clear)


@pytest.mark.parametrize("density", [0.08, 0.15, 0.35])
def test_the_breast_has_about_the_gland_asked_for(density):
    shares = []
    for seed in range(4):
        patient = dataclasses.replace(MANY[seed], density=density)
        breast, grid = compress(patient, View.CC), grid_of(90, 60)
        layers = [
            breast.layer(*grid.positions_mm(index), float(height), grid.cell_mm(1.0))
            for index, height in enumerate(grid.heights_mm)
        ]
        inside = sum(layer.inside.sum() for layer in layers)
        shares.append(sum((layer.inside * layer.gland).sum() for layer in layers) / inside)
    assert np.mean(shares) == pytest.approx(density, rel=0.35)


def test_both_views_show_the_same_breast():
    def profile(patient, view):
        breast, grid = compress(dataclasses.replace(patient, depth_mm=90.0, half_width_mm=90.0), view), grid_of(90, 60)
        inner = [
            breast.layer(*grid.positions_mm(i), float(h), grid.cell_mm(1.0)) for i, h in enumerate(grid.heights_mm)
        ]
        gland = sum((layer.inside * layer.gland * (layer.muscle == 0)).sum(axis=0) for layer in inner)
        return (gland / (1 + sum((layer.inside * (layer.muscle == 0)).sum(axis=0) for layer in inner)))[12:42]

    chosen = [dataclasses.replace(patient, thickness_mm=52.0, density=0.15) for patient in MANY[:8]]
    cc = np.array([profile(patient, View.CC) for patient in chosen])
    mlo = np.array([profile(patient, View.MLO) for patient in chosen])
    # What all patients have in common is taken away, and so must not be what agrees.
    cc, mlo = cc - cc.mean(axis=0), mlo - mlo.mean(axis=0)
    agreement = np.corrcoef(cc, mlo)[:8, 8:]
    own, other = np.diag(agreement).mean(), agreement[~np.eye(8, dtype=bool)].mean()
    assert own > other + 0.4


def test_a_finding_lies_at_the_same_distance_from_the_chest_wall_in_both_views():
    for patient in MANY[:50]:
        cc, mlo = (compress_cheaply(patient, view).locate(patient.position) for view in View)
        assert cc[1] == mlo[1]
        for row, column, height in (cc, mlo):
            assert SUPPORT_MM < height < SUPPORT_MM + patient.thickness_mm
            assert column < patient.depth_mm
            assert abs(row) < patient.half_width_mm


TISSUE = draw_tissue(np.random.default_rng(0), density=0.15)


def compress_cheaply(patient, view):
    return CompressedBreast(
        TISSUE, view, patient.depth_mm, patient.half_width_mm, patient.thickness_mm, (0.0, 0.0, 0.0)
    )


@pytest.mark.parametrize("finding", list(FindingType))
@pytest.mark.parametrize("view", list(View))
def test_material_of_calcifications_and_spicules_is_conserved_at_every_pixel_size(finding, view):
    shape = draw_shape(np.random.default_rng(5), finding, 8.0)
    breast = compress_cheaply(MANY[0], view)
    volumes = []
    for rows, columns in ((560, 240), (280, 120), (100, 50)):
        grid = grid_of(rows, columns, layers=28)
        placed = place(shape, breast, (0.5, 0.05, 0.0), grid, contrast=1.0)
        scale = 650 / (650 - placed.center_mm[2])
        volumes.append((placed.strands.sum() + placed.grains.sum()) * np.prod(grid.cell_mm(scale)))
    expected = shape.strands.volumes.sum() + shape.grains.volumes.sum()
    if finding in (FindingType.COARSE_CALCIFICATIONS, FindingType.FINE_CALCIFICATIONS):
        assert volumes == pytest.approx([expected] * 3, rel=0.02)
    else:
        # Spicules that run into each other, or out of the breast, are not counted twice.
        assert all(volume <= expected * 1.02 for volume in volumes)


@pytest.mark.parametrize("finding", list(FindingType))
def test_without_contrast_the_layers_are_those_of_the_breast_alone(finding):
    breast, grid = compress_cheaply(MANY[0], View.CC), grid_of(90, 60)
    place_it = {"breast": breast, "position": (0.5, 0.0, 0.0), "grid": grid}
    shape = draw_shape(np.random.default_rng(5), finding, 8.0)
    index = 13
    layer = breast.layer(*grid.positions_mm(index), float(grid.heights_mm[index]), grid.cell_mm(1.0))
    without = place(shape, **place_it, contrast=0.0)
    assert without.disturb(layer, index) is layer
    with_finding = place(shape, **place_it, contrast=1.0)
    changed = with_finding.insert(with_finding.disturb(layer, index).attenuation(), index) != layer.attenuation()
    assert changed.any()
    changed[with_finding.rows, with_finding.columns] = False
    assert not changed.any()


def test_tissue_lies_between_fat_and_gland_where_there_is_no_skin_or_muscle():
    breast, grid = compress_cheaply(MANY[0], View.CC), grid_of(180, 120)
    layer = breast.layer(*grid.positions_mm(13), float(grid.heights_mm[13]), grid.cell_mm(1.0))
    mu = layer.attenuation()[layer.inside == 1]
    assert mu.size > 1000
    assert mu.min() >= MU_FAT * (1 - 1e-6)
    assert mu.max() <= MU_GLAND


def test_removing_the_finding_changes_nothing_far_from_it():
    for index in (0, 1, 6):
        patient = patients(SMALL)[index]
        view = patient.views[0]
        pair = image_pair(patient, view, SMALL)
        control = image_pair(patient, view, dataclasses.replace(SMALL, contrast=0.0))
        difference = np.abs(pair.mammogram.astype(float) - control.mammogram)
        places = [(np.arange(count) + 0.5) / count for count in pair.mammogram.shape]
        height, width = np.multiply(pair.mammogram.shape, pair.mammogram_pixel_mm)
        rows, columns = np.abs(places[0] - pair.finding_row) * height, np.abs(places[1] - pair.finding_column) * width
        far = np.hypot(rows[:, None], columns[None, :]) > 60
        assert difference[~far].max() > 100
        assert np.median(difference[far & (control.mammogram > 0)]) < 60
        assert pair.slices.shape == control.slices.shape
