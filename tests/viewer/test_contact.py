"""The page of many cases, as a parser and as a browser see it."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from dmdbt.prediction.result import NOTICE
from dmdbt.viewer.contact import write_contact
from tests.support.browser import Parsed, brightness, chromium, opened

HOSTILE = "</td></table><script>alert(1)</script>\"'<img src=x onerror=alert(2)>{{ 7 * 7 }}&"
MODEL = {"model": "alexnet, 5 folds", "simulated": True}


def row(number, **changes):
    p = (37 * number % 100) / 100 + 0.005
    made = {
        "case_id": f"C{number}",
        "patient_id": f"P{number}",
        "laterality": "LR"[number % 2],
        "view": "CC",
        "label": "malignant" if number % 3 else "benign",
        "p_dm": p,
        "p_dbt": None if number % 5 == 0 else 1 - p,
        "p_dm_dbt": None if number % 5 == 0 else p / 2,
        "p_ensemble": p,
        "decision": "malignant" if p >= 0.5 else "benign",
        "vote_fraction": None if number % 5 == 0 else round(p, 1),
        "warnings": number % 4,
        "page": f"C{number}.html",
        "thumbnail": f"C{number}.jpg",
    }
    return made | changes


def error(number):
    failed = {"code": "DM-NOT-DICOM", "cause": "expected DICOM, found <text>", "remedy": "Export it again."}
    return {"case_id": f"C{number}", "patient_id": f"P{number}"} | failed


def page_of(rows, folder, **options):
    write_contact(folder / "cases.html", rows, "thumbnails", **MODEL | options)
    return (folder / "cases.html").read_text(encoding="utf-8")


def test_every_case_has_a_row_with_its_numbers_its_picture_and_its_page(tmp_path):
    parsed = Parsed(page_of(iter([row(2), row(5), error(7)]), tmp_path))
    assert "C2 0.745 malignant 70 % malignant agrees 2 0.745 0.255 0.372 P2 L CC" in parsed.text
    assert "C5 0.855 malignant – malignant agrees 1 0.855 – – P5 R CC" in parsed.text  # noqa: RUF001
    assert "C7 Error DM-NOT-DICOM: expected DICOM, found <text>. Export it again." in parsed.text
    assert [image["src"] for image in parsed.all("img")] == ["./thumbnails/C2.jpg", "./thumbnails/C5.jpg"]
    assert [link["href"] for link in parsed.all("a")] == ["./C2.html", "./C5.html"]
    assert parsed.text.count(f"{NOTICE} Trained on simulated patients.") == 2
    assert "Model: alexnet, 5 folds." in parsed.text


def test_a_label_that_differs_from_the_decision_is_marked(tmp_path):
    parsed = Parsed(page_of([row(2, label="benign"), row(5, label="")], tmp_path))
    assert "malignant 70 % benign differs 2" in parsed.text
    assert "0.855 malignant – 1" in parsed.text  # noqa: RUF001
    assert sum("wrong" in span.get("class", "") for span in parsed.all("span")) == 1


def test_cases_without_a_prediction_are_counted_and_come_first_in_whatever_order_they_are_given(tmp_path):
    text = Parsed(page_of([row(1), error(2), row(3), error(4)], tmp_path)).text
    assert "2 of 4 cases have no prediction Case Reason C2 Error DM-NOT-DICOM" in text
    assert text.index("C2 Error") < text.index("C4 Error") < text.index("C1 0.375") < text.index("C3 0.115")
    assert "1 of 1 case has no prediction" in Parsed(page_of([error(1)], tmp_path)).text
    assert "no prediction" not in Parsed(page_of([row(1)], tmp_path)).text


def test_many_cases_without_a_prediction_are_folded(tmp_path):
    few, many = (Parsed(page_of([row(99), *map(error, range(n))], tmp_path)).all("details") for n in (10, 11))
    assert [("open" in few[0]), ("open" in many[0])] == [True, False]
    only = Parsed(page_of(map(error, range(11)), tmp_path))
    assert "open" in only.all("details")[0]
    assert "No case has a prediction." in only.text


def test_no_case_is_said_to_be_none(tmp_path):
    assert "No case." in Parsed(page_of([], tmp_path, simulated=None)).text
    assert "Nobody has stated whether the training cohort is real." in page_of([], tmp_path, simulated=None)


def test_text_of_others_cannot_become_markup_or_a_scheme(tmp_path):
    texts = dict.fromkeys(("case_id", "patient_id", "laterality", "view", "label", "decision"), HOSTILE)
    rows = [
        row(1, **texts, page="javascript:alert(1)", thumbnail='a b#?".jpg'),
        row(2, page="//example.org/x"),
        error(3) | dict.fromkeys(("code", "cause", "remedy"), HOSTILE),
    ]
    parsed = Parsed(page_of(rows, tmp_path))
    assert len(parsed.scripts) == 1
    assert parsed.text.count(HOSTILE) == 9
    assert [link["href"] for link in parsed.all("a")] == ["./javascript%3Aalert%281%29", ".///example.org/x"]
    assert parsed.all("img")[0]["src"] == "./thumbnails/a%20b%23%3F%22.jpg"


def test_memory_does_not_depend_on_the_number_of_cases(tmp_path):
    peaks = []
    for n in (100, 100, 3000):
        tracemalloc.start()
        write_contact(tmp_path / "cases.html", map(row, range(n)), "thumbnails", **MODEL)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 300_000


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    rows = [error(n) if n % 100 == 7 else row(n) for n in range(1000)]
    write_contact(folder / "cases.html", rows, "thumbnails", **MODEL)
    (folder / "thumbnails").mkdir()
    buffer = io.BytesIO()
    Image.fromarray(np.full((160, 128), 90, np.uint8)).save(buffer, "JPEG")
    for n in range(1000):
        (folder / f"thumbnails/C{n}.jpg").write_bytes(buffer.getvalue())
    return folder / "cases.html"


def column(tab, title):
    """Texts of a column of the predicted cases that are shown, top down."""
    return tab.evaluate(
        """(title) => {
            const headings = [...document.querySelectorAll(".cases thead th")];
            const index = headings.find((heading) => heading.innerText.trim() === title).cellIndex;
            return [...document.querySelectorAll(".cases tbody tr")].filter((row) => !row.hidden)
                .map((row) => row.cells[index].innerText.trim());
        }""",
        title,
    )


@pytest.mark.system
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400, 2560])
def test_the_page_fits_every_width_and_both_schemes_and_shows_its_pictures(browser, page, width, scheme):
    with opened(browser, page, width=width, scheme=scheme) as tab:
        tab.wait_for_function("document.images[0].naturalWidth === 128")
        # On a narrow screen the page scrolls to the right for the rest of the table, and only for that.
        table = tab.locator(".cases").bounding_box()
        assert tab.evaluate("document.documentElement.scrollWidth") <= max(width, table["x"] + table["width"])
        assert width == 400 or table["x"] + table["width"] <= width
        boxes = [of.bounding_box() for of in tab.locator("header, main p").all()]
        ends = [of["x"] + of["width"] for of in boxes]
        assert max(ends) <= width
        ground, ink = tab.evaluate(
            "(style => [style.backgroundColor, style.color])(getComputedStyle(document.documentElement))"
        )
        assert (brightness(ground) > brightness(ink)) is (scheme == "light")


@pytest.mark.system
def test_the_page_scrolls_under_a_heading_that_stays_and_a_narrow_one_shows_p_and_decision(browser, page):
    with opened(browser, page, width=400) as tab:
        places = [tab.get_by_role("columnheader", name=name).bounding_box() for name in ("p ensemble", "Decision")]
        assert all(of["x"] + of["width"] <= 400 for of in places)
        tab.evaluate("scrollTo(0, 5000)")
        assert tab.evaluate("scrollY") == 5000
        heading = tab.get_by_role("columnheader", name="Decision")
        assert heading.bounding_box()["y"] == pytest.approx(0, abs=1)
        tab.evaluate("scrollTo(200, 5000)")
        assert tab.locator(".cases tbody th").nth(60).bounding_box()["x"] == pytest.approx(0, abs=1)


@pytest.mark.system
def test_a_click_sorts_by_a_column_and_another_the_other_way(browser, page):
    with opened(browser, page) as tab:
        before = column(tab, "Case")
        heading = tab.get_by_role("columnheader", name="p ensemble")
        for direction, sign in (("descending", -1), ("ascending", 1)):
            heading.get_by_role("button").click()
            assert heading.get_attribute("aria-sort") == direction
            values = column(tab, "p ensemble")
            numbers = [sign * float(value) for value in values]
            assert numbers == sorted(numbers)
            assert sorted(column(tab, "Case")) == sorted(before)
        assert tab.locator("th[aria-sort=none]").count() == 11
        tab.get_by_role("columnheader", name="p DBT").get_by_role("button").click()
        assert set(column(tab, "p DBT")[-190:]) == {"–"}  # noqa: RUF001


@pytest.mark.system
def test_the_keyboard_sorts_and_filters(browser, page):
    with opened(browser, page) as tab:
        tab.keyboard.press("Tab")
        tab.keyboard.type("c99")
        assert column(tab, "Case") == ["C99", *(f"C{n}" for n in range(990, 1000))]
        assert tab.locator("#count").inner_text() == "11 of 1000 cases shown, 0 without a prediction"
        for _ in range(11):  # over the cases without a prediction to the tenth heading
            tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        assert tab.get_by_role("columnheader", name="Patient").get_attribute("aria-sort") == "ascending"
        tab.keyboard.press("Space")
        assert column(tab, "Patient") == [*(f"P{n}" for n in range(999, 989, -1)), "P99"]
        tab.locator("#filter").fill("DM-NOT-DICOM")
        assert tab.locator("#count").inner_text() == "10 of 1000 cases shown, 10 without a prediction"
        assert column(tab, "Case") == []
        tab.locator("#filter").fill("")
        assert len(column(tab, "Case")) == 990
