"""The sheet of a case: where its colors are, for its numbers are pixels too."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dmdbt.terms import Modality
from dmdbt.viewer import words
from dmdbt.viewer.pictures import FALLS, RISES
from dmdbt.viewer.sheet import _LONGEST, write_sheet
from tests.support.views import DM_GRAY, EVIDENCE, case_view, heat_map, prediction, without

HEAT = 0.65  # opacity of the largest value
BOX = (255, 225, 77)


def sheet_of(view, folder):
    write_sheet(folder / "sheet.png", view)
    with Image.open(folder / "sheet.png") as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image).astype(int)


def where(sheet, color):
    """Rows and columns that have a color: first and last of each."""
    rows, columns = np.nonzero((np.abs(sheet - np.array(color)) <= 1).all(axis=-1))
    return rows.min(), rows.max(), columns.min(), columns.max()


def warm(gray, strength=1.0, color=(255, 140, 0)):
    return [round(gray + HEAT * strength * (value - gray)) for value in color]


def test_the_hottest_cell_lies_in_the_box_where_the_map_has_it(tmp_path):
    sheet = sheet_of(case_view(), tmp_path)
    assert sheet.shape[1] == 1600
    of_dm = sheet[:850, :800]
    # The plain picture is left of the warm one, which has the same box.
    top, bottom, left, right = where(of_dm, BOX)
    plain = np.flatnonzero((of_dm[:, :280] == DM_GRAY).all(axis=-1).sum(axis=1) > 150)
    shown = plain[-1] + 1 - plain[0]  # rows 12 to 188 of the original: the box with a margin
    assert (top - plain[0]) / shown == pytest.approx((20 - 12) / 176, abs=0.005)
    assert (bottom + 1 - plain[0]) / shown == pytest.approx((180 - 12) / 176, abs=0.005)
    width = (right - left + 1 - (right - left + 1) // 2) - 1
    first, last, start, end = where(of_dm, warm(DM_GRAY))
    height = bottom - top + 1
    assert (first - top) / height == pytest.approx(2 / 4, abs=0.02)
    assert (last - top) / height == pytest.approx(3 / 4, abs=0.02)
    assert end == pytest.approx(right, abs=3)
    assert end - start == pytest.approx((last - first), abs=3)  # 40 x 40 pixels of the original
    assert end - start < width / 2


def test_cells_below_zero_are_blue(tmp_path):
    heat = [of for of in case_view().heat if of.method == "occlusion"]
    of_dm = sheet_of(case_view(heat=heat), tmp_path)[:850, :800]
    cold, hot = where(of_dm, warm(DM_GRAY, 0.5, (61, 139, 255))), where(of_dm, warm(DM_GRAY))
    assert cold[1] < hot[0]
    assert cold[3] < hot[2] + 3


def test_the_slices_are_those_with_most_evidence(tmp_path):
    sheet = sheet_of(case_view(), tmp_path)
    tall = {}
    for gray in (50, 80, 100, 60, 120):
        tall[gray] = (np.abs(sheet - gray) <= 1).all(axis=-1).sum()
    assert min(tall[gray] for gray in (50, 80, 100)) > 100 * max(tall[gray] for gray in (60, 120))


def test_the_slices_are_in_the_order_of_the_volume_and_all_different(tmp_path):
    sheet = sheet_of(case_view(), tmp_path)
    lower = np.where(np.arange(len(sheet))[:, None, None] > len(sheet) // 2, sheet, 0)  # the mammogram has gray 100 too
    parts = (sheet, 50), (sheet, 80), (lower, 100)
    first, second, third = (np.argwhere((part == gray).all(axis=-1)).mean(axis=0) for part, gray in parts)
    assert first[1] < 800 < second[1]
    assert abs(first[0] - second[0]) < 10 < third[0] - first[0]
    blank = sheet_of(case_view(evidence={("alexnet", "dm_dbt"): 0 * EVIDENCE}), tmp_path)
    found = {gray: (blank == gray).all(axis=-1).sum() for gray in (10, 50, 70, 80, 100)}
    assert found[70] > 50_000 > 10 * max(found[gray] for gray in (10, 50, 80))  # the middle one only


def test_every_kind_of_number_and_sentence_is_on_the_sheet(tmp_path):
    """Whatever changes in the view changes the sheet."""
    first = sheet_of(case_view(), tmp_path)
    shown = prediction()
    others = [
        case_view(simulated=None),
        case_view(model="other"),
        *(
            case_view(prediction=prediction(**changes))
            for changes in (
                {"case_id": "C2"},
                {"patient_id": "P2"},
                {"laterality": "R"},
                {"view": "MLO"},
                {"label": "benign"},
                {"p": shown.p | {"dm": 0.2}},
                {"lowest": shown.lowest | {"dbt": 0.2}},
                {"highest": shown.highest | {"dm_dbt": 0.9}},
                {"calibrated": shown.calibrated | {"ensemble": 0.2}},
                {"thresholds": shown.thresholds | {"youden": dict.fromkeys(shown.p, 0.318)}},
                {"decisions": shown.decisions | {"half": dict.fromkeys(shown.p, "benign")}},
                {"vote_fraction": 1 / 3},
                {"folds": [1]},
                {"flags": []},
                {"warnings": []},
            )
        ),
    ]
    for other in others:
        changed = sheet_of(other, tmp_path)
        assert changed.shape != first.shape or (changed != first).any()
    assert np.array_equal(sheet_of(case_view(), tmp_path), first)


@pytest.mark.parametrize("modality", Modality)
def test_a_case_without_an_image_has_the_other(tmp_path, modality):
    sheet = sheet_of(without(modality), tmp_path)
    assert len(sheet) < len(sheet_of(case_view(), tmp_path))
    assert where(sheet, warm(128 if modality is Modality.DM else DM_GRAY))[0] > 0


def test_a_case_without_heat_maps_has_its_images_and_the_middle_slice(tmp_path):
    sheet = sheet_of(case_view(heat=[], evidence={}), tmp_path)
    assert (np.abs(sheet - 70) <= 1).all(axis=-1).sum() > 50_000
    color = np.ptp(sheet, axis=-1) > 40
    assert color.sum() < 20_000  # the box and the notice


def test_long_and_hostile_texts_stay_inside_the_sheet(tmp_path):
    texts = ["W" * 2000, "a\nb\x00c\u202ed", "", "word " * 500]
    for text in texts:
        named = dict.fromkeys(("case_id", "patient_id", "laterality", "view", "label"), text)
        shown = prediction(**named, warnings=[text] * 40, flags=[text] * 40)
        view = case_view(prediction=shown, model=text)
        sheet = sheet_of(view, tmp_path)
        assert sheet.shape[0] < 6000
        assert (sheet[:, 1575:] == 255).all()
    one, other = (sheet_of(case_view(model="W" * 200 + end), tmp_path) for end in "ab")
    assert (one != other).any()


def test_no_sentence_of_our_own_is_too_long_for_the_sheet():
    sentences = [words.EVIDENCE, words.NO_EVIDENCE, words.LETTERS, words.MEANING, *words.SCALES.values()]
    assert max(map(len, sentences)) <= _LONGEST


def test_cells_too_small_for_borders_have_none(tmp_path):
    small = heat_map("grad_cam", "alexnet", "dm", Modality.DM)
    values = np.zeros((200, 100), np.float32)
    values[0, 0] = 1
    view = case_view(heat=[type(small)("grad_cam", "alexnet", "dm", Modality.DM, values)])
    of_dm = sheet_of(view, tmp_path)[:850, :800]
    bright = (np.abs(of_dm - (DM_GRAY + (255 - DM_GRAY) / 4)) <= 2).all(axis=-1)
    assert bright.sum() < 500


def test_the_orientation_stands_at_the_edges_of_the_plain_picture(tmp_path):
    view = case_view()
    plain = sheet_of(view, tmp_path)
    lettered = sheet_of(replace(view, dm=replace(view.dm, orientation="A\\R")), tmp_path)
    assert len(lettered) > len(plain)  # which says what the letters are
    letters = lettered[:850] != plain[:850]
    rows, columns = np.nonzero(letters.any(axis=-1))
    top, bottom, left, right = where(plain[:850, :800], BOX)  # of both pictures; the first has the left half
    middle = (left + right) // 2
    assert rows.min() < top + 30
    assert rows.max() > bottom - 30
    assert columns.min() < left + 30
    assert columns.max() < middle
    inner = letters[top + 60 : bottom - 60, left + 60 : middle - 60]
    assert not inner.any()


def test_every_heat_map_has_a_color_bar_from_the_least_to_the_largest_value(tmp_path):
    sheet = sheet_of(case_view(), tmp_path)
    ends = [(np.abs(sheet - np.array(warm(85, color=color))) <= 1).all(axis=-1) for color in (FALLS, RISES)]
    for number in (1, 2, 3, 4, 5):  # pictures, two in a row
        left = 0 if number % 2 else 800
        found = [np.argwhere(end[:, left : left + 800]) for end in ends]
        assert found[0][:, 1].max() < found[1][:, 1].min()
    assert len(np.unique(np.concatenate([np.argwhere(end)[:, 0] for end in ends]))) == 3 * 12
    without_heat = sheet_of(case_view(heat=[], evidence={}), tmp_path)
    assert not (np.abs(without_heat - np.array(warm(85))) <= 1).all(axis=-1).any()
