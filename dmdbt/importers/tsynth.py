"""T-SYNTH volumes with their M-SYNTH mammograms: simulated pairs of the FDA, CC0.

Layout, as published (``<...>`` vary; the folder above may have any name)::

    device_data_VICTREPhantoms_spic_<lesion density>/<breast density>/2/<lesion size>/SIM/
        D2_<lesion size>_<breast density>.<id>/<id>/reconstruction<id>.{mhd,raw,loc}          T-SYNTH
    device_data_VICTREPhantoms_spic_<lesion density>/<dose>/<breast density>/2/<lesion size>/SIM/
        <...>.<id>/<id>/projection_DM<id>.{mhd,raw,loc}                                       M-SYNTH

A pair has the same lesion density, breast density, lesion size and id. Of several doses the highest is taken, the
clinical one. The id names the phantom, which other sizes and densities share: it is the patient, so that a split never
parts it. Folders named ``*cview*`` hold C-View images, which are no volumes.

Both images are stored with the chest wall in the first row, and are turned a quarter counter-clockwise here, as the
curators' code does (``rot90`` by -90 degrees, over the axes in reverse order): the chest wall is on the left. A volume
is linked as it is; its new header holds the key ``QuarterTurns``, and corrects keys that the published one has from its
phantom. A mammogram is written as PNG with 16 bits: the file
holds two images, of which the first is the mammogram; its values are flat field over projection, bright where tissue
is (see `dmdbt.importers.gray.gray_of_ratio`). The simulated breast is one side in one view; it is written as L and CC.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from dmdbt.cohort import Case, Statement
from dmdbt.errors import InputDataError
from dmdbt.files import write_text
from dmdbt.imaging import write_gray
from dmdbt.importers.cohort_folder import Findings, Pair, Transfer
from dmdbt.importers.gray import gray_of_ratio
from dmdbt.readers.other import QUARTER_TURNS, metaimage_data, metaimage_fields
from dmdbt.terms import Label, Laterality, View

ABOUT = """Imported from T-SYNTH and M-SYNTH, simulated images of the FDA (CC0).

Label rule: lesion present -> malignant, lesion absent -> benign. The sets know no biopsy: a simulated mass is no cancer
and its absence no benign finding. Results tell how well masses are detected, and nothing about malignancy.
A file .loc beside the images says that there is a lesion; odd ids have one.
Split by patient_id: it is the id of the phantom."""

STATEMENT = Statement(
    simulated=True,
    source="T-SYNTH and M-SYNTH",
    label_rule="A simulated lesion is present (malignant) or absent (benign); there is no biopsy.",
)

_LAYOUT = re.compile(
    r"device_data_VICTREPhantoms_spic_(?P<lesion>[\d.]+)/(?:(?P<dose>\d[\d.]*e\+?\d+)/)?"
    r"(?P<breast>fatty|scattered|hetero|dense)/\d+/(?P<size>[\d.]+)/[^/]+/[^/]+\.(?P<id>\d+)/(?P=id)/"
    r"(?P<kind>projection_DM|reconstruction)(?P=id)\.mhd$"
)
_DM, _DBT = "projection_DM", "reconstruction"
_DM_FRAMES = 2
_BYTES = {"MET_FLOAT": 4, "MET_DOUBLE": 8}
_TURNS = 1  # quarters, counter-clockwise
_REMEDY = "Download the file again."


class _Key(NamedTuple):
    lesion_density: str
    breast_density: str
    lesion_size: str
    phantom: int


class _Header(NamedTuple):
    """A header that was found: the last is the one to take."""

    dose: float
    path: Path

    @property
    def lesion(self) -> bool:
        return self.path.with_suffix(".loc").is_file()


def find_pairs(source: Path, *, unpaired: bool = False) -> Findings:
    """Find the pairs below a folder that holds both sets.

    Parameters
    ----------
    source
        Holds ``device_data_VICTREPhantoms_spic_*`` of both sets, in it or in its folders.
    unpaired
        Keep also what has only one of the two images; such rows have an empty path.
    """
    found: dict[_Key, dict[str, _Header]] = defaultdict(dict)
    findings = Findings()
    for path in sorted(source.rglob("*.mhd")):
        match = _LAYOUT.search((source.resolve() / path.relative_to(source)).as_posix())
        if match is None or "cview" in path.parent.relative_to(source).as_posix().lower():
            findings.left_out["header outside the published layout, or of a C-View image"] += 1
            continue
        key = _Key(match["lesion"], match["breast"], match["size"], int(match["id"]))
        headers = found[key]
        header = _Header(float(match["dose"] or 0), path)
        headers[match["kind"]] = max(header, headers.get(match["kind"], header))
    for key, headers in tqdm(sorted(found.items()), desc="headers", unit="pair", disable=len(found) < 100):
        if len(headers) < 2 and not unpaired:
            findings.left_out[f"{'mammogram' if _DM in headers else 'volume'} without its counterpart"] += 1
            continue
        _add_pair(findings, key, headers, source)
    return findings


def _add_pair(findings: Findings, key: _Key, headers: dict[str, _Header], source: Path) -> None:
    lesion = key.phantom % 2 == 1
    for header in headers.values():
        if header.lesion != lesion:
            expected = "a lesion (.loc), for its id is odd" if lesion else "no lesion (.loc), for its id is even"
            findings.problems.append(f"{header.path.relative_to(source).as_posix()}: expected {expected}")
            return
    case_id = "-".join(["tsynth", *map(str, key)])
    try:
        transfers = tuple(_transfers(case_id, headers))
    except InputDataError as exc:
        findings.problems.append(f"{case_id}: {exc}")
        return
    label = Label.MALIGNANT if lesion else Label.BENIGN
    dm, dbt = f"{case_id}/dm.png" if _DM in headers else "", f"{case_id}/dbt.mhd" if _DBT in headers else ""
    case = Case(case_id, f"tsynth-{key.phantom}", Laterality.LEFT, View.CC, label, dm=dm, dbt=dbt)
    columns = {name: str(value) for name, value in key._asdict().items()}
    findings.pairs.append(Pair(case, transfers, columns | {"label_rule": "lesion present or absent, no malignancy"}))


def _transfers(case_id: str, headers: dict[str, _Header]) -> Iterator[Transfer]:
    if _DM in headers:
        header = headers[_DM].path
        shape = _stored_shape(header, "MET_FLOAT", frames=_DM_FRAMES)
        make = partial(_write_mammogram, shape=shape, file=header.name)
        yield Transfer(_raw(header), f"{case_id}/dm.png", make)
    if _DBT in headers:
        header = headers[_DBT].path
        _stored_shape(header, "MET_DOUBLE", frames=None)
        yield Transfer(_raw(header), f"{case_id}/dbt.raw")
        yield Transfer(header, f"{case_id}/dbt.mhd", _write_header)


def _raw(header: Path) -> Path:
    data = metaimage_data(header)
    if data is None or not data.is_file():
        cause = "expected a raw file beside the header, found none"
        raise InputDataError("TSYNTH-RAW", file=header.name, cause=cause, remedy=_REMEDY)
    return data


def _stored_shape(header: Path, kind: str, *, frames: int | None) -> tuple[int, int]:
    """Return rows and columns as stored; refuse a raw file of another length.

    `frames` replaces the third number of ``DimSize``. ``NDims`` and ``CompressedData`` are not looked at: the program
    that wrote the sets copies them from the header of the phantom, which may be compressed. The length tells.
    """
    fields = metaimage_fields(header)
    sizes = fields.get("DimSize", "").split()
    needed_sizes = 2 if frames else 3
    if fields.get("ElementType") != kind or len(sizes) < needed_sizes or not all(size.isdecimal() for size in sizes):
        cause = f"expected {kind} and a DimSize, found {fields.get('ElementType')} and {' '.join(sizes)}"
        raise InputDataError("TSYNTH-HEADER", file=header.name, cause=cause, remedy=_REMEDY)
    columns, rows = int(sizes[0]), int(sizes[1])
    images = frames or int(sizes[2])
    needed, found = images * rows * columns * _BYTES[kind], _raw(header).stat().st_size
    if found != needed:
        cause = f"expected {needed} bytes for {images} images of {rows} x {columns}, found {found}"
        raise InputDataError("TSYNTH-LENGTH", file=header.name, cause=cause, remedy=_REMEDY)
    return rows, columns


def _write_mammogram(source: Path, target: Path, *, shape: tuple[int, int], file: str) -> None:
    stored = np.fromfile(source, "<f4", shape[0] * shape[1]).reshape(shape)
    try:
        gray = gray_of_ratio(stored)
    except ValueError as exc:
        raise InputDataError("TSYNTH-BLANK", file=file, cause=str(exc), remedy=_REMEDY) from exc
    write_gray(target, np.ascontiguousarray(np.rot90(gray, _TURNS)))


def _write_header(source: Path, target: Path) -> None:
    """Write the header of a volume beside its link, with the turn that brings it upright."""
    corrected = {"NDims": "3", "CompressedData": "False", QUARTER_TURNS: str(_TURNS)}  # see `_stored_shape`
    fields = metaimage_fields(source) | corrected
    del fields["ElementDataFile"]
    lines = [f"{key} = {value}" for key, value in (fields | {"ElementDataFile": "dbt.raw"}).items()]
    write_text(target, "\n".join(lines) + "\n")
