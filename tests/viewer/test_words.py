import pytest

from dmdbt.terms import FLAGS
from dmdbt.viewer.words import (
    accuracy,
    counted,
    described,
    edges,
    flag_meaning,
    heading,
    number,
    percent,
    probability,
    spread,
    votes,
)
from tests.support.views import prediction


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.5, "0.500"), (0.0009, "< 0.001"), (0.001, "0.001"), (0.999, "0.999"), (0.99999, "> 0.999")],  # noqa: RUF001
)
def test_no_probability_is_shown_as_certain(value, said):
    assert probability(value) == said.replace(" ", "\N{NO-BREAK SPACE}")


def test_numbers_and_shares_read_as_in_print():
    assert number(-0.25) == "\N{MINUS SIGN}0.250"
    assert [percent(share) for share in (0, 0.0042, 0.0994, 0.0996, 2 / 3, 1)] == [
        "0 %",
        "0.4 %",
        "9.9 %",
        "10 %",
        "67 %",
        "100 %",
    ]
    assert [heading(name) for name in ("dm", "dm_dbt", "ensemble")] == ["DM", "DM-DBT", "Ensemble"]


def test_one_thing_is_no_plural():
    assert [counted(n, "warning") for n in (0, 1, 2)] == ["0 warnings", "1 warning", "2 warnings"]


def test_the_range_names_over_what_it_is_and_the_only_fold():
    made, none = prediction(), {"ensemble": None}
    one = dict(list(made.backbones.items())[:1])
    assert spread(made) == "0.583 to 0.655 over folds and backbones"
    assert spread(prediction(backbones=one)) == "0.583 to 0.655 over folds"
    assert spread(prediction(folds=[3])) == "0.583 to 0.655 over backbones, fold 3 only"
    assert spread(prediction(folds=[3], backbones=one, lowest=made.p, highest=made.p)) == "fold 3 only"
    assert spread(prediction(lowest=none, highest=none)) == ""


def test_votes_are_counted_where_they_weigh_alike():
    assert votes(prediction()) == "4 of 6 votes for malignant"
    assert votes(prediction(vote_fraction=0.25)) == "25 % of the votes for malignant"
    assert votes(prediction(backbones={}, vote_fraction=1)) == "100 % of the votes for malignant"


def test_sensitivity_and_specificity_are_told_as_far_as_they_are_known():
    assert accuracy(0.914, 0.05).replace("\N{NO-BREAK SPACE}", " ") == "sens. 91 %, spec. 5.0 %"
    assert accuracy(None, None) == ""


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
