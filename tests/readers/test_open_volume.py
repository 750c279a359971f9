import pytest

from dmdbt.errors import InputDataError
from dmdbt.readers import open_volume


@pytest.mark.parametrize(
    ("name", "content", "message"), [("a.avi", None, "E-DBT-MISSING"), ("a.mov", b"", "E-DBT-KIND .*found .mov")]
)
def test_what_is_no_volume_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputDataError, match=message):
        open_volume(path)
