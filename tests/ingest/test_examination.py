import pytest

from dmdbt.errors import IntegrityError
from dmdbt.ingest import examine, read_examination
from dmdbt.readers import Limits
from tests.support.breasts import write_cohort


def test_an_examination_of_another_version_is_refused(tmp_path):
    case = write_cohort(tmp_path / "cohort")[0]
    examine(case, tmp_path, cohort=tmp_path / "cohort", limits=Limits())
    path = tmp_path / "c0.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(IntegrityError, match="E-EXAMINATION .*expected format dmdbt examination 1, found .* 2"):
        read_examination(path)
