from dmdbt.dicom_output.codes import PRIVATE, SCHEME, private
from tests.support import ROOT

DOCUMENT = (ROOT / "docs/dicom-output.md").read_text()


def test_private_codes_are_as_long_as_dicom_allows_and_all_of_them_are_documented():
    assert SCHEME in DOCUMENT
    for code, meaning in PRIVATE.items():
        assert len(code) <= 16
        assert len(meaning) <= 64
        assert f"| `{code}` | {meaning} |" in DOCUMENT


def test_a_rule_that_is_not_listed_means_its_own_name():
    code = private("another_rule")
    assert (code.CodeValue, code.CodeMeaning, code.CodingSchemeDesignator) == ("another_rule", "another_rule", SCHEME)
