"""A pair in Chromium: files are dropped or chosen, and the result is read."""

import re
from contextlib import contextmanager

import pytest
from PIL import Image

from dmdbt.prediction.result import NOTICE
from dmdbt.readers import read_volume
from tests.support.browser import chromium
from tests.support.service import running, with_reading

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@contextmanager
def opened(browser, service, *, width=1400):
    """The form in a tab; at the end, nothing may have been said in the console, and nothing asked of another host."""
    said, asked = [], []
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.set_default_timeout(120_000)
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(service.origin)
    yield tab
    tab.close()
    assert [text for text in said if "413" not in text] == []
    assert [url for url in asked if not url.startswith((f"{service.origin}/", "data:"))] == []


def drop(tab, place, *paths):
    """Drop files as a file manager does: the browser itself makes the event, with folders as folders."""
    box = tab.locator(place).bounding_box()
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = tab.context.new_cdp_session(tab)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def test_a_pair_that_is_dropped_and_chosen_is_predicted_and_its_result_read(browser, service, cohort):
    with opened(browser, service) as tab:
        assert NOTICE in tab.inner_text("body")
        drop(tab, ".drop >> nth=0", cohort / "2.dcm")
        tab.get_by_text("2.dcm, 0.0 MiB").wait_for()
        tab.set_input_files("#dbt", cohort / "2.avi")
        tab.get_by_label("Pseudonym of the patient").fill("P02")
        tab.get_by_label("Side").select_option("L")
        tab.get_by_role("button", name="Predict").click()
        tab.locator("#dbt canvas").wait_for()
        numbers = service.ask(tab.url.removeprefix(service.origin) + ".json").json
        shown = re.search(r"ensemble: (0\.\d{3})", tab.inner_text("header"))
        assert float(shown[1]) == pytest.approx(numbers["p"]["ensemble"], abs=5e-4)
        assert (numbers["patient_id"], numbers["laterality"]) == ("P02", "L")
        assert NOTICE in tab.inner_text("body")
        before = tab.locator(".slices").input_value()
        tab.locator(".slices").press("ArrowDown")
        assert tab.locator(".slices").input_value() != before


def test_a_folder_of_slices_may_be_dropped(browser, service, cohort, tmp_path):
    for number, image in enumerate(read_volume(cohort / "1.avi")):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    with opened(browser, service) as tab:
        drop(tab, ".drop >> nth=1", tmp_path)
        tab.get_by_text("9 files, ").wait_for()
        assert tab.evaluate("[...document.getElementById('dbt').files].map((file) => file.name).sort()") == [
            f"{number}.png" for number in range(9)
        ]


def test_a_file_that_misses_its_place_leaves_the_page_as_it_is(browser, service, cohort):
    with opened(browser, service) as tab:
        tab.get_by_label("Pseudonym of the patient").fill("P02")
        drop(tab, "h1", cohort / "2.dcm")
        assert tab.get_by_label("Pseudonym of the patient").input_value() == "P02"
        assert tab.url == f"{service.origin}/"


def test_an_empty_form_is_not_sent_and_says_what_it_lacks(browser, service):
    with opened(browser, service) as tab:
        asked = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.get_by_label("Pseudonym of the patient").fill("P02")
        tab.get_by_role("button", name="Predict").click()
        tab.get_by_text("Choose a file.").wait_for()
        assert (asked, tab.url) == ([], f"{service.origin}/")
        tab.locator("input[name=dm_path]").fill("2.dcm")
        tab.get_by_role("button", name="Predict").click()
        tab.get_by_role("link", name="Another pair").wait_for()


def test_files_over_the_limit_are_not_sent_and_if_they_are_the_answer_is_read(browser, bundle, tmp_path):
    (tmp_path / "large.dcm").write_bytes(b"0" * 2**26)
    limited = with_reading(bundle, tmp_path / "bundle", file_gib=0.001)
    with running(limited) as service, opened(browser, service) as tab:
        tab.set_input_files("#dm", tmp_path / "large.dcm")
        tab.get_by_role("button", name="Predict").click()
        tab.get_by_text("64.0 MiB are more than this model reads.").wait_for()
        assert tab.url == f"{service.origin}/"
        tab.evaluate("document.querySelector('form').submit()")  # without the script's look at the size
        tab.get_by_text("TOO-LARGE").wait_for()
        assert tab.url == f"{service.origin}/cases"


def test_a_name_that_is_markup_is_shown_as_text_where_there_is_no_result(browser, service, tmp_path):
    path = tmp_path / "<img src=x onerror=alert(1)>.dcm"
    path.write_bytes(b"nonsense")
    tab = browser.new_page()
    tab.set_default_timeout(120_000)
    tab.goto(service.origin)
    tab.set_input_files("#dm", path)
    tab.get_by_role("button", name="Predict").click()
    tab.get_by_text("DM-NOT-DICOM").wait_for()
    assert path.name in tab.inner_text("main")
    assert tab.locator("img").count() == 0
    tab.get_by_role("link", name="Another pair").click()
    assert tab.url == f"{service.origin}/"
    tab.close()


@pytest.mark.parametrize("width", [400, 1400, 2560])
def test_the_form_fits_and_the_keyboard_reaches_all_of_it(browser, service, width):
    with opened(browser, service, width=width) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        wanted = tab.locator("input, select, button").count()
        reached = set()
        for _ in range(wanted):
            tab.keyboard.press("Tab")
            reached.add(tab.evaluate("document.activeElement.name || document.activeElement.textContent"))
        assert reached == {"patient", "laterality", "view", "dm", "dm_path", "dbt", "dbt_path", "Predict"}
