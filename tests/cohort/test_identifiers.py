import pytest

from dmdbt.cohort import patients_alike, rule_broken


@pytest.mark.parametrize("identifier", ["p", "_1", "1E5", "NA", "P.1_a-b", "9" * 64, "nul-1", "COM10", "1.0"])
def test_letters_digits_dots_underscores_and_hyphens_are_allowed(identifier):
    assert rule_broken(identifier) == ""


@pytest.mark.parametrize(
    ("identifier", "rule"),
    [
        ("", "a pseudonym"),
        ("9" * 65, "at most 64 characters, not 65"),
        ("a b", "letters A to Z, digits, dots, underscores and hyphens, not ' ' (U+0020)"),
        ("a/b", "letters A to Z, digits, dots, underscores and hyphens, not '/' (U+002F)"),
        ("M\u00fcller", "letters A to Z, digits, dots, underscores and hyphens, not '\u00fc' (U+00FC)"),
        ("P\u20111", "letters A to Z, digits, dots, underscores and hyphens, not '\u2011' (U+2011)"),
        ("A\u0308", "letters A to Z, digits, dots, underscores and hyphens, not '\u0308' (U+0308)"),
        ("@SUM(1)", "letters A to Z, digits, dots, underscores and hyphens, not '@' (U+0040)"),
        ("+1+cmd|x", "letters A to Z, digits, dots, underscores and hyphens, not '+' (U+002B)"),
        ("P1\u200b", "letters A to Z, digits, dots, underscores and hyphens, not '\\u200b' (U+200B)"),
        ("\u0661", "letters A to Z, digits, dots, underscores and hyphens, not '\u0661' (U+0661)"),
        ("p1\n", "letters A to Z, digits, dots, underscores and hyphens, not '\\n' (U+000A)"),
        ("1E+05", "the whole number, not what a spreadsheet has rounded it to (format the column as text)"),
        ("1,23E+15", "the whole number, not what a spreadsheet has rounded it to (format the column as text)"),
        (".hidden", "a letter, digit or underscore at the start"),
        ("-rf", "a letter, digit or underscore at the start"),
        ("p1.", "a last character other than a dot, because Windows drops it"),
        ("con", "another name, because Windows reserves this one for a device"),
        ("NUL.1", "another name, because Windows reserves this one for a device"),
        ("Lpt9", "another name, because Windows reserves this one for a device"),
        ("manifest.json", "another name, because the pipeline uses this one for its own files"),
        ("manifest", "another name, because the pipeline uses this one for its own files"),
        ("journal.jsonl", "another name, because the pipeline uses this one for its own files"),
    ],
)
def test_what_cannot_name_a_file_everywhere_is_told_with_its_reason(identifier, rule):
    assert rule_broken(identifier) == rule


@pytest.mark.parametrize(
    "alike",
    [["1", "01", "1.0", "P1", "p1", "P-01"], ["ab", "AB"], ["S1-003", "s01-3"], ["0", "00", "p0"], ["1", "1.00"]],
)
def test_patients_that_may_be_one_are_found_among_others(alike):
    others = ["2", "P20", "X1", "1a", "1.1", "abc", "S13-3"]
    assert patients_alike([*others, *alike, *alike]) == [sorted(alike)]


@pytest.mark.parametrize("different", [["P10", "P1", "P100"], ["A1", "B1", "1"], ["1.5", "1"], ["_", "p", "P0"]])
def test_different_patients_are_not_alike(different):
    assert patients_alike(different) == []
