"""A named pipe waits for somebody who writes into it: no command opens one that lies in a cohort."""

import os
import re
import signal

import pytest

from dmdbt import planning
from dmdbt.__main__ import main
from dmdbt.errors import DmdbtError
from tests.support import ROOT
from tests.support.breasts import run_ingest, write_cohort

NO_STATEMENT, NO_TABLE = "E-STATEMENT-MALFORMED .*found no file", "E-TABLE-MISSING"
NO_IMAGE = "E-DM-MISSING case=c0", "E-DBT-NOT-AVI case=c0 .*expected a file, found a folder or a device"
UNKNOWN = "FAULT case=c0 file={}: expected AVI, DICOM, MetaImage or an image, found none of these"


@pytest.mark.parametrize(
    ("command", "name", "message"),
    [
        ("ingest", "cohort.json", NO_STATEMENT),
        ("ingest", "cases.csv", NO_TABLE),
        ("ingest", "cases.xlsx", ""),
        ("ingest", "notes.txt", ""),
        ("ingest", "dm/0.dcm", NO_IMAGE[0]),
        ("ingest", "dbt/0.avi", NO_IMAGE[1]),
        ("doctor", "cohort.json", NO_STATEMENT),
        ("doctor", "cases.csv", NO_TABLE),
        ("doctor", "cases.xlsx", ""),
        ("doctor", "notes.txt", ""),
        ("doctor", "dm/0.dcm", UNKNOWN.format("dm/0.dcm")),
        ("doctor", "dbt/0.avi", UNKNOWN.format("dbt/0.avi")),
        ("plan", "cases.csv", NO_TABLE),
        ("plan", "dm/0.dcm", NO_IMAGE[0]),
        ("plan", "dbt/0.avi", NO_IMAGE[1]),
        ("table", "dm/0.dcm", ""),
        ("table", "notes.txt", ""),
    ],
)
def test_no_command_waits_for_a_pipe(tmp_path, capsys, command, name, message):
    cohort = tmp_path / "cohort"
    write_cohort(cohort)
    (cohort / name).unlink(missing_ok=True)
    if command == "table":
        (cohort / "cases.csv").unlink()
    os.mkfifo(cohort / name)

    def end(*_):
        raise TimeoutError(name)

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(60)
    try:
        if command == "ingest":
            run_ingest(tmp_path)
        elif command == "plan":
            planning.make_plan(cohort, planning.read_settings(ROOT / "params.yaml"), tmp_path)
        else:
            main([command, str(cohort)])
        found = "".join(capsys.readouterr())
    except DmdbtError as error:
        found = "\n".join([str(error), *getattr(error, "__notes__", [])])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert re.search(message, found) if message else not re.search("E-|FAULT", found)
