"""What a cohort states of itself: the file, and what the stage ingest makes of it."""

import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.cohort import Statement, phantom_source, read_stated, read_statement, write_statement
from dmdbt.errors import IntegrityError, TableError
from dmdbt.importers import bcs_dbt, tsynth, victre
from dmdbt.terms import Label
from tests.support.breasts import run_ingest, write_cohort

CONTENT = {"format": "dmdbt cohort", "version": 1, "simulated": False, "source": "a clinic", "label_rule": "biopsy"}
LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(str.strip)


@given(simulated=st.booleans(), source=LINES, label_rule=LINES)
def test_a_statement_is_read_as_it_was_written(tmp_path_factory, simulated, source, label_rule):
    path = tmp_path_factory.mktemp("cohort") / "cohort.json"
    statement = Statement(simulated, source.strip(), label_rule.strip())
    write_statement(path, statement)
    assert read_statement(path) == statement


def test_a_statement_as_an_editor_of_another_system_saves_it_is_read(tmp_path):
    text = json.dumps(CONTENT | {"comment": "ignored"}, indent=1).replace("\n", "\r\n")
    (tmp_path / "cohort.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_statement(tmp_path / "cohort.json") == Statement(False, "a clinic", "biopsy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "E-STATEMENT-MALFORMED case=- file=cohort.json cause=expected a JSON object in UTF-8, found JSONDecodeE"),
        (b'{"format": "dmdbt cohort"', "found JSONDecodeError"),
        (b"[" * 100_000, "found RecursionError"),
        ('{"source": "Köln"}'.encode("latin-1"), "found UnicodeDecodeError"),
        (b"[]", "found list remedy=Correct the file, or remove it"),
        (b"null", "found NoneType"),
        (b"{}", "E-STATEMENT-FORMAT .*expected format dmdbt cohort 1, found None None"),
        (json.dumps(CONTENT | {"version": 2}).encode(), "found dmdbt cohort 2"),
        (json.dumps(CONTENT | {"format": "dmdbt tables"}).encode(), "found dmdbt tables 1"),
    ],
)
def test_a_damaged_or_unknown_statement_is_refused(tmp_path, content, message):
    (tmp_path / "cohort.json").write_bytes(content)
    with pytest.raises(TableError, match=message):
        read_statement(tmp_path / "cohort.json")


def test_a_folder_or_a_link_to_nothing_is_no_missing_statement(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "link", "pipe"):
        with pytest.raises(TableError, match="E-STATEMENT-MALFORMED .*found no file"):
            read_statement(tmp_path / name)


def test_every_wrong_value_is_named(tmp_path):
    wrong = {"simulated": "no", "source": "two\nlines", "label_rule": " "}
    (tmp_path / "cohort.json").write_text(json.dumps(CONTENT | wrong))
    with pytest.raises(TableError, match="E-STATEMENT case=- file=cohort.json cause=.*found 3 problems") as caught:
        read_statement(tmp_path / "cohort.json")
    assert caught.value.__notes__ == [
        'simulated: expected true or false, found "no"',
        'source: expected one line of text, found "two\\nlines"',
        'label_rule: expected one line of text, found " "',
    ]
    for key in wrong:
        (tmp_path / "cohort.json").write_text(json.dumps({k: v for k, v in CONTENT.items() if k != key}))
        with pytest.raises(TableError) as caught:
            read_statement(tmp_path / "cohort.json")
        assert caught.value.__notes__[0].startswith(f"{key}: expected")


def test_nothing_is_written_that_would_not_be_read(tmp_path):
    for statement in (Statement(), Statement(True, "", "a rule"), Statement(True, "a set", "two\nlines")):
        with pytest.raises(ValueError, match="statement of a cohort: "):
            write_statement(tmp_path / "cohort.json", statement)
    assert list(tmp_path.iterdir()) == []


def test_only_the_source_tells_the_phantom():
    source = phantom_source(seed=3, contrast=0.5)
    assert source == "dmdbt phantom, seed 3, contrast 0.5"
    assert Statement(True, source, "drawn").is_phantom
    assert not Statement(True, "T-SYNTH", "drawn").is_phantom
    sources = {contrast: phantom_source(seed=3, contrast=contrast) for contrast in (0, 0.5, 10)}
    controls = {contrast: Statement(True, of, "drawn").is_negative_control for contrast, of in sources.items()}
    assert controls == {0: True, 0.5: False, 10: False}
    assert not Statement(True, "T-SYNTH, contrast 0", "drawn").is_negative_control
    assert not Statement(True, "dmdbt phantoms of others", "drawn").is_phantom
    assert not Statement(False, source, "drawn").is_phantom
    assert not Statement().is_phantom


def test_simulated_sets_say_so_and_a_real_one_that_its_labels_are_proven_or_not():
    assert [module.STATEMENT.simulated for module in (tsynth, victre)] == [True, True]
    assert bcs_dbt.statement() == Statement(
        False, "BCS-DBT", "Per view, proven by biopsy: Cancer is malignant, Benign is benign."
    )
    rule = bcs_dbt.statement(normal_as=Label.BENIGN, actionable_as=Label.MALIGNANT).label_rule
    assert rule.endswith("; without a biopsy: Normal is benign, Actionable is malignant.")


def test_the_check_of_a_cohort_carries_its_statement_wherever_the_folder_is(tmp_path):
    write_cohort(tmp_path / "cohort")
    statement = Statement(True, phantom_source(seed=1, contrast=1), "drawn")
    write_statement(tmp_path / "cohort/cohort.json", statement)
    assert (tmp_path / "cohort").is_absolute()
    found = run_ingest(tmp_path)
    assert found["cohort"] == {"simulated": True, "source": statement.source, "label_rule": "drawn"}
    assert read_stated(tmp_path / "cohort.json") == statement


def test_a_cohort_without_a_statement_is_not_stated_to_be_real(tmp_path):
    write_cohort(tmp_path / "cohort")
    examined = run_ingest(tmp_path)
    assert examined["cohort"]["simulated"] is None
    assert read_stated(tmp_path / "cohort.json") == Statement()
    shutil.copytree(tmp_path / "examined", tmp_path / "before")
    write_statement(tmp_path / "cohort/cohort.json", Statement(False, "a clinic", "biopsy"))
    assert run_ingest(tmp_path) == examined | {
        "cohort": {"simulated": False, "source": "a clinic", "label_rule": "biopsy"}
    }
    for path in (tmp_path / "before").rglob("*.json"):  # the statement changes no examination
        assert path.read_bytes() == (tmp_path / "examined" / path.relative_to(tmp_path / "before")).read_bytes()


def test_a_damaged_statement_ends_the_check_before_any_file_is_examined(tmp_path):
    write_cohort(tmp_path / "cohort")
    (tmp_path / "cohort/cohort.json").write_text("{")
    with pytest.raises(TableError, match="E-STATEMENT-MALFORMED"):
        run_ingest(tmp_path)
    assert not (tmp_path / "examined").exists()


@pytest.mark.parametrize("content", [{}, {"cohort": None}, {"cohort": {"simulated": True}}])
def test_counts_without_a_statement_are_refused(tmp_path, content):
    (tmp_path / "cohort.json").write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="E-STATEMENT-COUNTS .*Run the stage ingest again"):
        read_stated(tmp_path / "cohort.json")
