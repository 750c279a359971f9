import math
import subprocess
import sys
from collections import Counter

import pytest

from tests.support import ROOT
from tests.support import dicom_corpus as corpus
from tests.support.dicom_corpus import noise, write, write_tomosynthesis

pytestmark = pytest.mark.mutation

BATCH = 60  # seconds that a batch may take; it takes a few
KINDS = [
    (name, syntax)
    for name in ("image", "volume")
    for syntax in (corpus.EXPLICIT, corpus.DEFLATED, corpus.RLE, corpus.LOSSLESS_SV1, corpus.LS, corpus.J2K)
]
SHAPES = {"image": (64, 48), "volume": (4, 40, 32)}


def run(path, first, last):
    command = [sys.executable, "-W", "error", "-m", "tests.support.dicom_mutations", str(path), str(first), str(last)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=5 * BATCH, check=False)


@pytest.mark.parametrize(("name", "syntax"), KINDS)
def test_a_damaged_file_is_refused_or_has_the_right_shape(tmp_path, pytestconfig, name, syntax):
    pixels = noise(12, SHAPES[name])
    writer = write if name == "image" else write_tomosynthesis
    path = writer(tmp_path / f"{name}.dcm", pixels, syntax=syntax)
    count = math.ceil(pytestconfig.getoption("--mutations") / len(KINDS))
    done = run(path, 0, count)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout.splitlines()[-1:]
    outcomes = [line.split(" ", 1)[1] for line in done.stdout.splitlines()]
    assert len(outcomes) == count
    expected = f"read {' '.join(map(str, SHAPES[name]))}"
    assert {outcome for outcome in outcomes if outcome.startswith("read")} <= {expected}
    print(Counter(outcome.split(" ")[0] for outcome in outcomes))
