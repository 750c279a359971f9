import errno

import pytest

from dmdbt.entry import report_error
from dmdbt.errors import InputDataError, SystemResourceError, file_error, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("two\nlines\tand a tab", "two\\nlines\\tand a tab"),
        ("b\udce4d.dcm", "b\\udce4d.dcm"),
        ("left\u202eright", "left\\u202eright"),
        ("M\xfcller, 82\xa0slices, \u2265 3", "M\xfcller, 82\xa0slices, \u2265 3"),
    ],
)
def test_control_characters_and_half_characters_are_escaped(text, shown):
    assert printable(text) == shown
    assert shown in str(InputDataError("X", file=text, cause=text, remedy="None."))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "p1: expected room for its output, got: No space left"),
        (errno.EFBIG, "p1: expected room for its output, got: File too large"),
        (errno.EACCES, "p1: expected to use /a/b, got: Permission denied. Mend that, then run the command again"),
    ],
)
def test_a_fault_of_the_file_system_is_no_traceback(number, words, capsys):
    error = OSError(
        number, {27: "File too large", 28: "No space left on device"}.get(number, "Permission denied"), "/a/b"
    )
    assert str(file_error(error, "p1")).startswith(words)
    assert report_error(error) == SystemResourceError.exit_code
    assert "dmdbt: expected" in capsys.readouterr().err
