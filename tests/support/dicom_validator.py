"""The validator of dicom3tools, which knows what the standard demands of each kind of object."""

import subprocess
import sys
from pathlib import Path

DCIODVFY = Path(sys.executable).with_name("dciodvfy")


def assert_valid(path, kind):
    """The validator takes the file for that kind of object, and finds no error."""
    done = subprocess.run([DCIODVFY, path], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert kind in said
    assert [line for line in said if "Error" in line] == []
