"""The page of a case, as a parser and as a browser see it."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dmdbt.prediction.result import NOTICE
from dmdbt.terms import FLAGS, Head, Modality
from dmdbt.viewer.page import write_page
from tests.support.browser import Parsed, brightness, chromium, opened
from tests.support.views import (
    DBT_BOX,
    DM_BOX,
    DM_GRAY,
    EVIDENCE,
    HOTTEST,
    N_SLICES,
    case_view,
    heat_map,
    prediction,
    without,
)

HOSTILE = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(2)>{{ 7 * 7 }}&\u202e"


def page_of(view, folder):
    write_page(folder / "case.html", view)
    return (folder / "case.html").read_text(encoding="utf-8")


def data_of(page):
    return json.loads(Parsed(page).scripts[0])


def decoded(address):
    kind, _, content = address.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "case.html"
    write_page(path, case_view())
    return path


@pytest.fixture
def tab(browser, page):
    with opened(browser, page) as shown:
        yield shown


# The canvas of the page is copied: reading from it over and over would make Chromium say that this is slow.
READ = """([panel, row, column]) => {
    const canvas = document.querySelector(`#${panel} canvas`);
    const copy = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    copy.drawImage(canvas, -Math.floor(column * canvas.width), -Math.floor(row * canvas.height));
    return [...copy.getImageData(0, 0, 1, 1).data];
}"""


def pixel(tab, panel, row, column):
    """Red, green and blue on the canvas of a panel, at a place of the image from 0 to 1."""
    tab.wait_for_function(f"(place) => ({READ})(place)[3] === 255", arg=[panel, row, column])
    return tab.evaluate(READ, [panel, row, column])[:3]


def of_dm(tab, row, column):
    return pixel(tab, "dm", row / 200, column / 160)


def of_dbt(tab, row=50, column=70):
    return pixel(tab, "dbt", row / 100, column / 80)


def blended(gray, color, opacity):
    return [round(gray + opacity * (value - gray)) for value in color]


def near(one, other):
    return all(abs(a - b) <= 2 for a, b in zip(one, other, strict=True))


def slice_shown(tab):
    """Number of the slice that the slider has and that the canvas shows, by its gray level."""
    number = int(tab.input_value(".slices"))
    tab.wait_for_function(f"(gray) => Math.abs(({READ})(['dbt', 0.02, 0.5])[0] - gray) <= 2", arg=10 * number)
    assert tab.locator("#dbt [data-role=number]").inner_text().startswith(f"Slice {number} of {N_SLICES}, ")
    return number


def test_the_page_holds_every_image_and_nothing_of_elsewhere(tmp_path):
    view = case_view()
    page = page_of(view, tmp_path)
    pictures = data_of(page)["pictures"]
    assert np.abs(decoded(pictures["dm"]["frames"][0])[:150].astype(int) - DM_GRAY).max() <= 1
    assert [round(decoded(frame).mean()) for frame in pictures["slices"]["frames"]] == [
        10 * number for number in range(1, N_SLICES + 1)
    ]
    assert decoded(pictures["dynamic"]["frames"][0]).shape == (100, 80)
    assert [pictures[name]["box"] for name in ("dm", "dynamic")] == [[*DM_BOX], [*DBT_BOX]]
    parsed = Parsed(page)
    assert parsed.all("meta")[2]["content"].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert [link["href"] for link in parsed.all("link")] == ["data:,"]
    assert not any("src" in script for script in parsed.all("script"))
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+/", page) == []


def test_large_images_are_reduced_and_the_page_says_to_what(tmp_path):
    view = case_view(dm=replace(case_view().dm, pixels=np.full((2200, 1100), 1000, np.uint16)))
    page = page_of(view, tmp_path)
    assert decoded(data_of(page)["pictures"]["dm"]["frames"][0]).shape == (1100, 550)
    text = Parsed(page).text.replace("\N{MULTIPLICATION SIGN}", "x")
    assert "2200 rows x 1100 columns, 16 bit. Shown: 1100 x 550, 8 bit (0 is 1000, 255 is 1001 of the original)" in text
    assert "100 rows x 80 columns, 8 bit. Shown: 100 x 80, 8 bit, JPEG quality 85" in text


def test_the_page_has_every_number(tmp_path):
    text = Parsed(page_of(case_view(), tmp_path)).text
    started = "Probability of malignancy (model output), ensemble: 0.654 (0.583 to 0.655 over folds and backbones)"
    assert started in text
    assert "mean over folds and backbones 0.654 0.123 > 0.999 0.568" in text
    assert "on the tests of the training cohort 0.589 0.111 0.900 0.511" in text
    assert "of folds and backbones 0.583 0.052 0.928 0.497" in text
    assert "One half malignant by majority: 4 of 6 votes for malignant benign from 0.500 malignant from 0.500" in text
    measured = "chosen and measured on the tests of the training cohort malignant from"
    assert f"Youden's threshold {measured} 0.317 sens. 82 %, spec. 71 % benign from 0.317 sens. 82 %" in text
    assert f"90 % sensitivity {measured} 0.109 sens. 91 % malignant" in text
    assert "Majority of the heads: malignant (4 of 6 votes for malignant)." in text
    assert "Votes for malignant: 67 % of the weight of the heads. Folds used: 1, 2." in text
    assert "The majority agrees with the label of the table." in text
    assert "resnet 0.604 malignant 0.073 benign 0.950 malignant 0.518 malignant 67 % fold 1 0.063 0.940 0.508" in text
    assert "alexnet, DM-DBT: slice 5 (20 %), slice 8 (18 %), slice 10 (15 %)" in text
    assert f"dm-low-range {FLAGS['low-range']}." in text
    assert f"few-slices {FLAGS['few-slices']}." in text
    assert "Warning. The patient was seen in training." in text
    assert "Model: alexnet and resnet, 2 folds, 40 patients." in text
    assert "Left breast, CC view. Patient P1. Label of the table: malignant." in text
    assert "DICOM, 12 bits." in text


@pytest.mark.parametrize(
    ("simulated", "sentence"),
    [
        (True, "Trained on simulated patients."),
        (False, "Trained on real patients, as its cohort states."),
        (None, "Nobody has stated whether the training cohort is real."),
    ],
)
def test_the_page_says_twice_what_it_is_no_device_and_what_the_training_was(tmp_path, simulated, sentence):
    text = Parsed(page_of(case_view(simulated=simulated), tmp_path)).text
    assert text.count(f"{NOTICE} {sentence}") == 2


def test_a_heat_map_of_nothing_names_no_slice(tmp_path):
    text = Parsed(page_of(case_view(evidence={("alexnet", "dbt"): 0 * EVIDENCE}), tmp_path)).text
    assert "alexnet, DBT: No slice stands out: where the slices differ, the Grad-CAM map is 0 or nearly 0." in text


@pytest.mark.system
def test_a_browser_names_no_slice_under_a_heat_map_of_nothing(browser, tmp_path):
    page_of(case_view(evidence={("alexnet", "dm_dbt"): 0 * EVIDENCE}), tmp_path)
    with opened(browser, tmp_path / "case.html") as tab:
        assert "No slice stands out" in tab.locator("#dbt [data-role=top]").inner_text()
        assert tab.locator("#dbt [data-role=top] button").count() == 0
        assert tab.locator(".strip .most").count() == 0
        assert "evidence" not in tab.locator("#dbt [data-role=number]").inner_text()


def test_without_a_range_none_is_told(tmp_path):
    p = prediction().p
    text = Parsed(page_of(case_view(prediction=prediction(lowest=p, highest=p)), tmp_path)).text
    assert "Probability of malignancy (model output), ensemble: 0.654. Majority" in text


def test_of_a_pair_that_one_fold_predicts_no_range_is_told_but_the_fold(tmp_path):
    made = prediction()
    one = dict(list(made.backbones.items())[:1])
    shown = prediction(lowest=made.p, highest=made.p, folds=[3], backbones=one)
    text = Parsed(page_of(case_view(prediction=shown), tmp_path)).text
    assert "ensemble: 0.654 (fold 3 only). Majority" in text
    assert "Probability fold 3 only 0.654" in text
    assert "Lowest" not in text
    assert "Fold used: 3." in text


def test_equal_views_give_equal_pages(tmp_path):
    assert page_of(case_view(), tmp_path) == page_of(case_view(), tmp_path)


def test_text_of_others_cannot_become_markup_or_script(tmp_path):
    texts = dict.fromkeys(("case_id", "patient_id", "laterality", "view", "label"), HOSTILE)
    view = case_view(
        prediction=prediction(**texts, flags=[HOSTILE], warnings=[HOSTILE]),
        facts={"dm": [HOSTILE], "dbt": [HOSTILE]},
        model=HOSTILE,
        heat=[heat_map("grad_cam", HOSTILE, Head.DM, Modality.DM)],
        evidence={(HOSTILE, "dbt"): EVIDENCE},
    )
    parsed = Parsed(page_of(view, tmp_path))
    assert len(parsed.scripts) == 2
    assert parsed.all("img") == []
    assert " ".join(HOSTILE.split()) in parsed.text
    assert data_of(page_of(view, tmp_path))["heat"][0]["backbone"] == HOSTILE


@pytest.mark.system
def test_a_browser_runs_no_text_of_others(browser, tmp_path):
    page_of(case_view(prediction=prediction(case_id=HOSTILE, flags=[HOSTILE])), tmp_path)
    with opened(browser, tmp_path / "case.html") as tab:
        assert tab.evaluate("document.querySelector('h1').textContent") == HOSTILE
        assert tab.locator("img").count() == 0


@pytest.mark.parametrize(
    ("modality", "lacks", "has"), [(Modality.DM, "mammogram", {"slices", "dynamic"}), (Modality.DBT, "volume", {"dm"})]
)
def test_a_case_without_an_image_says_so_and_shows_the_other(tmp_path, modality, lacks, has):
    page = page_of(without(modality), tmp_path)
    text = Parsed(page).text
    assert f"This case has no {lacks}." in text
    assert data_of(page)["pictures"].keys() == has
    assert re.findall(r"\b(?:nan|None)\b", text) == []
    assert "mean over folds and backbones" in text


@pytest.mark.system
@pytest.mark.parametrize("modality", Modality)
def test_a_browser_shows_what_there_is_of_a_case(browser, tmp_path, modality):
    page_of(without(modality), tmp_path)
    with opened(browser, tmp_path / "case.html") as tab:
        assert tab.locator(".panel").count() == 1
        shown = of_dbt(tab) if modality is Modality.DM else of_dm(tab, 100, 120)
        assert near(shown, [70] * 3 if modality is Modality.DM else [DM_GRAY] * 3)


def test_a_case_without_heat_maps_is_shown_with_its_box(tmp_path):
    assert "No heat map was made" in Parsed(page_of(case_view(heat=[], evidence={}), tmp_path)).text


@pytest.mark.system
def test_a_browser_shows_a_case_without_heat_maps(browser, tmp_path):
    page_of(case_view(heat=[], evidence={}), tmp_path)
    with opened(browser, tmp_path / "case.html") as tab:
        assert near(of_dm(tab, 100, 40), [DM_GRAY] * 3)
        assert near(of_dm(tab, 20.2, 40), [0, 0, 0]) or not near(of_dm(tab, 20.2, 40), [DM_GRAY] * 3)
        assert "No evidence by slice." in tab.locator("#dbt").inner_text()


@pytest.mark.system
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400, 2560])
def test_the_page_fits_every_width_and_both_schemes(browser, page, width, scheme):
    with opened(browser, page, width=width, scheme=scheme) as tab:
        assert near(of_dm(tab, 100, 120), [DM_GRAY] * 3)
        tab.get_by_text("By backbone and fold", exact=True).click()
        assert tab.evaluate("document.documentElement.scrollWidth") <= tab.evaluate("innerWidth") == width
        ground, ink = tab.evaluate(
            "(style => [style.backgroundColor, style.color])(getComputedStyle(document.documentElement))"
        )
        assert (brightness(ground) > brightness(ink)) is (scheme == "light")
        dm, dbt = (tab.locator(f"#{name} canvas").bounding_box() for name in ("dm", "dbt"))
        beside = dm["y"] < dbt["y"] + dbt["height"] and dm["x"] + dm["width"] <= dbt["x"]
        assert beside is (width > 400)
        assert dm["width"] / dm["height"] == pytest.approx(160 / 200, rel=0.01)


@pytest.mark.system
def test_the_cells_of_the_heat_lie_where_the_box_says(tab):
    assert tab.input_value("#method") == "occlusion"
    tab.select_option("#method", "grad_cam")
    tab.uncheck("#borders")
    tab.uncheck("#box")
    height, width = (DM_BOX[1] - DM_BOX[0]) / 4, (DM_BOX[3] - DM_BOX[2]) / 2
    top, left = DM_BOX[0] + HOTTEST[0] * height, DM_BOX[2] + HOTTEST[1] * width
    hot = blended(DM_GRAY, (255, 140, 0), 0.6)
    inside = [(top + 1, left + 1), (top + height - 1, left + 1), (top + 1, left + width - 1)]
    outside = [(top - 1, left + 1), (top + height + 1, left + 1), (top + 1, left - 1), (top + 1, left + width + 1)]
    assert all(near(of_dm(tab, *place), hot) for place in inside)
    assert all(near(of_dm(tab, *place), [DM_GRAY] * 3) for place in outside)
    tab.select_option("#method", "occlusion")
    assert near(of_dm(tab, DM_BOX[0] + 1, DM_BOX[2] + 1), blended(DM_GRAY, (61, 139, 255), 0.6 / 2))
    assert near(of_dm(tab, top + 1, left + 1), hot)
    assert "\N{MINUS SIGN}0.5" in tab.locator(".legend").inner_text()


@pytest.mark.system
def test_zoomed_to_the_box_the_cells_fill_the_picture(tab):
    for name in ("borders", "box"):
        tab.uncheck(f"#{name}")
    tab.check("#zoom")
    tab.wait_for_function("(of => of.width < 0.6 * of.height)(document.querySelector('#dm canvas'))")
    hot = blended(DM_GRAY, (255, 140, 0), 0.6)
    assert near(pixel(tab, "dm", 0.51, 0.51), hot)
    assert near(pixel(tab, "dm", 0.74, 0.99), hot)
    assert near(pixel(tab, "dm", 0.49, 0.51), [DM_GRAY] * 3)
    assert near(pixel(tab, "dm", 0.51, 0.49), [DM_GRAY] * 3)


@pytest.mark.system
def test_the_opacity_changes_the_cells_and_nothing_else(tab):
    tab.uncheck("#borders")
    for percent in (0, 30, 100):
        tab.locator("#opacity").fill(str(percent))
        assert near(of_dm(tab, 120, 60), blended(DM_GRAY, (255, 140, 0), percent / 100))
        assert near(of_dm(tab, 120, 120), [DM_GRAY] * 3)


@pytest.mark.system
def test_borders_and_the_crop_box_are_drawn_and_can_be_left_out(tab):
    def across(column):
        """Colors at the upper edge of the box, and between two rows of cells without heat."""
        return [[of_dm(tab, edge + step / 10, column) for step in range(-5, 6)] for edge in (20, 60)]

    lines = [across(column) for column in range(50, 56)]
    assert all(any(color[0] > DM_GRAY + 20 for color in inner) for _, inner in lines)
    assert any(near(color, (255, 225, 77)) for outer, _ in lines for color in outer)
    tab.uncheck("#borders")
    tab.uncheck("#box")
    assert all(near(color, [DM_GRAY] * 3) for edge in across(60) for color in edge)


@pytest.mark.system
def test_wheel_keys_slider_bars_and_buttons_change_the_slice(tab):
    assert slice_shown(tab) == N_SLICES // 2 + 1
    tab.locator("#dbt canvas").hover()
    scrolled = tab.evaluate("scrollY")
    tab.mouse.wheel(0, 100)
    tab.wait_for_function("document.querySelector('.slices').value === '8'")
    assert slice_shown(tab) == 8
    tab.wait_for_timeout(200)  # for a page that would scroll
    assert tab.evaluate("scrollY") == scrolled
    tab.mouse.wheel(0, -100)
    tab.wait_for_function("document.querySelector('.slices').value === '7'")
    for place in ("#dbt canvas", ".slices"):
        tab.locator(place).focus()
        for key, number in {"Home": 1, "ArrowDown": 2, "PageDown": 3, "End": 12, "ArrowUp": 11, "PageUp": 10}.items():
            tab.keyboard.press(key)
            assert slice_shown(tab) == number
        tab.keyboard.press("End")
        tab.keyboard.press("ArrowDown")
        assert slice_shown(tab) == N_SLICES
    tab.locator(".slices").fill("4")
    assert slice_shown(tab) == 4
    tab.get_by_role("button", name="Slice 8 (18.0 %)").click()
    assert slice_shown(tab) == 8
    bars = tab.locator(".strip span")
    assert bars.count() == N_SLICES
    tab.locator(".strip").click(position={"x": 9, "y": 40})
    assert slice_shown(tab) == 1
    boxes = [bars.nth(k).bounding_box() for k in range(N_SLICES)]
    strip = tab.locator(".strip").bounding_box()
    heights = [box["height"] / strip["height"] for box in boxes]
    assert np.allclose(heights[1:], EVIDENCE[1:] / EVIDENCE.max(), atol=0.03)
    centers = [(box["x"] + box["width"] / 2 - strip["x"] - 8) / (strip["width"] - 16) for box in boxes]
    assert np.allclose(centers, np.linspace(0, 1, N_SLICES), atol=0.005)
    assert "1.0 % of the evidence" in tab.locator(".slices").get_attribute("aria-valuetext")


@pytest.mark.system
def test_the_dynamic_image_takes_the_place_of_the_slices_until_one_is_chosen(tab):
    tab.get_by_role("radio", name="Dynamic image").check()
    tab.wait_for_function("document.querySelector('#dbt canvas').ariaLabel === 'Dynamic image'")
    tab.wait_for_timeout(100)
    assert near(of_dbt(tab), [128] * 3)
    tab.get_by_role("button", name="Slice 5 ").click()
    assert slice_shown(tab) == 5
    assert tab.get_by_role("radio", name="Slices").is_checked()


@pytest.mark.system
def test_window_level_and_invert_change_the_gray_of_one_picture(tab):
    dm = tab.locator("#dm")
    dm.get_by_label("Level").fill("100")
    assert near(of_dm(tab, 100, 120), [128] * 3)
    dm.get_by_label("Window").fill("2")
    dm.get_by_label("Level").fill("120")
    assert near(of_dm(tab, 100, 120), [0] * 3)
    dm.get_by_label("Invert").check()
    assert near(of_dm(tab, 100, 120), [255] * 3)
    assert near(of_dbt(tab), [70] * 3)
    dm.get_by_role("button", name="Reset gray").click()
    assert near(of_dm(tab, 100, 120), [DM_GRAY] * 3)


@pytest.mark.system
def test_a_drag_to_the_right_widens_the_window_and_down_raises_the_level(tab):
    box = tab.locator("#dm canvas").bounding_box()
    tab.mouse.move(box["x"] + 200, box["y"] + 100)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 240, box["y"] + 110)
    tab.mouse.up()
    tab.mouse.move(box["x"] + 10, box["y"] + 10)
    assert [tab.locator("#dm").get_by_label(name).input_value() for name in ("Window", "Level")] == ["296", "138"]
    assert tab.locator("#dm [data-role=gray]").inner_text() == "296, 138"
    assert of_dm(tab, 100, 120)[0] == pytest.approx(255 * ((100 - 137.5) / 295 + 0.5), abs=2)


@pytest.mark.system
def test_under_the_pointer_are_row_column_gray_and_heat_of_the_original(tab):
    for row, column, said in (
        (120, 60, "Row 120, column 60. Gray 100 of 255. Heat 0.5 (cell 3, 2)."),
        (30, 100, "Row 30, column 100. Gray 100 of 255."),
    ):
        box = tab.locator("#dm canvas").bounding_box()
        tab.mouse.move(box["x"] + (column + 0.5) / 160 * box["width"], box["y"] + (row + 0.5) / 200 * box["height"])
        assert tab.locator("#dm .readout").inner_text() == said
    tab.check("#zoom")
    tab.wait_for_function("(of => of.width < 0.6 * of.height)(document.querySelector('#dm canvas'))")
    tab.locator("#dm canvas").hover()
    assert re.match(r"Row (99|100), column (39|40)\. ", tab.locator("#dm .readout").inner_text())


@pytest.mark.system
def test_the_page_says_how_large_a_cell_is_and_where_the_largest_value_lies(tab):
    said = tab.locator("#dm").inner_text()
    assert "cell = 40 \N{MULTIPLICATION SIGN} 40 pixels of the original, 4 \N{MULTIPLICATION SIGN} 2 cells" in said
    assert "Strongest 0.5 in rows 100 to 139, columns 40 to 79." in said
    assert "Most evidence under Grad-CAM (even: 8.3 %):" in tab.locator("#dbt").inner_text()
    tab.select_option("#head", "dbt")
    assert "The head DBT has no heat map of the mammogram." in tab.locator("#dm").inner_text()
    assert near(of_dm(tab, 120, 60), [DM_GRAY] * 3)
    assert "DBT of alexnet: probability >\N{NO-BREAK SPACE}0.999." in tab.locator(".legend").inner_text()


@pytest.mark.system
def test_a_map_says_its_strongest_value_also_below_zero_and_that_it_is_blank(browser, tmp_path):
    shown = [replace(of, values=-2 * of.values) for of in case_view().heat if of.method == "occlusion"]
    blank = [replace(of, values=0 * of.values) for of in case_view().heat if of.method == "grad_cam"]
    page_of(case_view(heat=shown + blank), tmp_path)
    with opened(browser, tmp_path / "case.html") as tab:
        assert "Strongest \N{MINUS SIGN}1 in rows 100 to 139, columns 40 to 79." in tab.locator("#dm").inner_text()
        tab.select_option("#method", "grad_cam")
        assert "It is 0 everywhere." in tab.locator("#dm").inner_text()


@pytest.mark.system
def test_side_and_view_stand_where_the_breast_is_not(tab, browser, tmp_path):
    marker, canvas = (tab.locator(f"#dm {name}").bounding_box() for name in (".marker", "canvas"))
    assert marker["x"] > canvas["x"] + canvas["width"] / 2
    mirrored = replace(case_view().dm, box=(20, 180, 80, 160))
    page_of(case_view(dm=mirrored, prediction=prediction(laterality="R")), tmp_path)
    with opened(browser, tmp_path / "case.html") as other:
        of_dm(other, 1, 1)
        assert other.locator("#dm .marker").inner_text() == "R CC"
        marker, canvas = (other.locator(f"#dm {name}").bounding_box() for name in (".marker", "canvas"))
        assert marker["x"] + marker["width"] < canvas["x"] + canvas["width"] / 2


@pytest.mark.system
def test_the_orientation_stands_at_the_edges(browser, tmp_path):
    page_of(case_view(dm=replace(case_view().dm, orientation="A\\R")), tmp_path)
    with opened(browser, tmp_path / "case.html") as tab:
        assert tab.locator("#dbt .edge").count() == 0
        canvas = tab.locator("#dm canvas").bounding_box()
        places = {text: tab.locator(f"#dm .edge >> text={text}").bounding_box() for text in "PALR"}
        center = {text: (of["x"] + of["width"] / 2, of["y"] + of["height"] / 2) for text, of in places.items()}
        parts = {
            text: ((x - canvas["x"]) / canvas["width"], (y - canvas["y"]) / canvas["height"])
            for text, (x, y) in center.items()
        }
        assert parts["P"] == pytest.approx((0, 0.5), abs=0.05)
        assert parts["A"] == pytest.approx((1, 0.5), abs=0.05)
        assert parts["L"] == pytest.approx((0.5, 0), abs=0.05)
        assert parts["R"] == pytest.approx((0.5, 1), abs=0.05)
        marker = tab.locator("#dm .marker").bounding_box()
        assert marker["y"] >= places["L"]["y"] + places["L"]["height"]  # "L CC" is not read as one word with the letter
        assert tab.locator("#dm .edge").first.evaluate("of => getComputedStyle(of).color") == "rgb(150, 220, 255)"
        assert "Letters at the edges: the header's Patient Orientation" in tab.locator(".viewer").inner_text()


@pytest.mark.system
def test_the_keyboard_reaches_every_control_and_shows_where_it_is(tab):
    places = "select, input, button, summary, canvas[tabindex], .scroll"
    tab.evaluate(f"document.querySelectorAll('{places}').forEach((place, k) => {{ place.dataset.place = k; }})")
    reached, hidden = set(), []
    for _ in range(60):
        tab.keyboard.press("Tab")
        place, seen, outline = tab.evaluate(
            """(() => {
                const at = document.activeElement;
                return [at.dataset.place, at.matches(":focus-visible"), getComputedStyle(at).outlineStyle];
            })()"""
        )
        if place is None:
            break
        reached.add(int(place))
        hidden += [] if seen and outline == "solid" else [place]
    wanted = tab.evaluate(
        f"""[...document.querySelectorAll('{places}')]
            .filter((place) => place.checkVisibility() && !(place.type === "radio" && !place.checked))
            .map((place) => Number(place.dataset.place))"""
    )
    assert len(wanted) > 15
    assert set(wanted) <= reached
    assert hidden == []


@pytest.mark.system
def test_every_control_has_a_name(tab):
    nameless = tab.evaluate(
        """[...document.querySelectorAll("select, input, button, canvas, .scroll")]
            .filter((place) => !place.ariaLabel && !place.labels?.length && !place.textContent.trim())
            .map((place) => place.outerHTML)"""
    )
    assert nameless == []
