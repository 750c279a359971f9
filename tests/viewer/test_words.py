import pytest

from dmdbt.terms import FLAGS
from dmdbt.viewer.words import described, edges, flag_meaning, heading, number, percent, probability


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.5, "0.500"), (0.0009, "< 0.001"), (0.001, "0.001"), (0.999, "0.999"), (0.99999, "> 0.999")],  # noqa: RUF001
)
def test_no_probability_is_shown_as_certain(value, said):
    assert probability(value) == said.replace(" ", "\N{NO-BREAK SPACE}")


def test_numbers_and_shares_read_as_in_print():
    assert number(-0.25) == "\N{MINUS SIGN}0.250"
    assert [percent(share) for share in (0.0042, 0.0994, 0.0996, 2 / 3, 1)] == [
        "0.4 %",
        "9.9 %",
        "10 %",
        "67 %",
        "100 %",
    ]
    assert [heading(name) for name in ("dm", "dm_dbt", "ensemble")] == ["DM", "DM-DBT", "Ensemble"]


def test_side_and_view_are_said_as_far_as_they_are_known():
    assert described("R", "MLO") == "Right breast, MLO view"
    assert described("", "CC") == "CC view"
    assert described("middle", "") == "middle"


def test_a_flag_has_its_meaning_with_and_without_the_image_before_it():
    assert flag_meaning("odd-slice") == flag_meaning("dbt-odd-slice") == FLAGS["odd-slice"]
    assert flag_meaning("dynamic-image-few_slices") == FLAGS["few-slices"]
    assert flag_meaning("dm-<script>") == ""


def test_letters_at_the_edges_are_those_of_the_header_and_their_opposites():
    assert edges("A\\R") == {"left": "P", "right": "A", "top": "L", "bottom": "R"}
    assert edges("P\\FL") == {"left": "A", "right": "P", "top": "HR", "bottom": "FL"}
    assert edges("") == {}
