"""Ask whether the heat of the heads lies at the simulated findings, and the slice of most evidence at their depth.

Every pair is looked at with the heads of the fold that tests it. Run after ``dvc repro``:
``python -m benchmarks.attention``, or with ``--data FOLDER`` on the ``data/`` of another clone. Prints the tables of
docs/attention.md, which explains their columns. Lengths are in mm on the detector.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydicom import dcmread
from tqdm import tqdm

from dmdbt import params
from dmdbt.attention import Box, original_box, pooling_weights, slice_evidence
from dmdbt.attention.maps import grad_cam, occlusion
from dmdbt.cohort import Case, read_folds, read_table
from dmdbt.evaluation import Bootstrap
from dmdbt.evaluation.intervals import drawn_weights, percentile_interval
from dmdbt.features import read_copy, read_provenance
from dmdbt.heads import read_head
from dmdbt.imaging import breast_box, read_gray, read_slices
from dmdbt.terms import Head, Laterality, Modality

RADIUS_MM, DEPTH_MM = 20.0, 5.0  # of the neighborhood of a finding
IDEAL_MM = 10.0  # radius of an ideal map; the median radius of the findings
METHODS = {"grad_cam": grad_cam, "occlusion": occlusion}
IMAGES = {Modality.DM: "mammograms", Modality.DBT: "dynamic"}
_POINTS = 400  # along each side of the crop box, to measure areas
_BOOTSTRAP = Bootstrap(draws=2000, seed=0)

Maps = dict[Modality, np.ndarray]


@dataclass(frozen=True)
class Scene:
    """The crop box of one image and what is in it.

    Attributes
    ----------
    box
        In pixels of the mammogram as it was read, or of the dynamic image.
    distance_mm, breast
        Arrays of shape (P, P), at points that lie evenly in the box: distance from the finding; whether it is breast.
    """

    box: Box
    distance_mm: np.ndarray
    breast: np.ndarray


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the pipeline's outputs")
    parser.add_argument("--params", type=Path, default=params.DEFAULT_PATH, help="with which they were made")
    parser.add_argument("--backbone", default="mobilenet_v2")
    chosen = parser.parse_args()
    pad = params.read(params.Mammogram, chosen.params).resize == "pad"
    spacing_mm = params.read(params.Phantom, chosen.params).slice_spacing_mm
    truth = pd.read_csv(chosen.data / "phantom/cohort/truth.csv").set_index("case_id")
    places: list[dict[str, object]] = []
    depths: list[dict[str, object]] = []
    for case, looks in looked(chosen.data, chosen.backbone):
        found = truth.loc[case.case_id]
        scenes = {modality: scene(chosen.data, case, modality, found, pad=pad) for modality in case.modalities}
        facts = {"patient": case.patient_id, "label": case.label, "finding": found["finding"]}
        for (head, method), maps in looks.items():
            for modality, values in maps.items():
                names = {"head": head, "image": modality, "method": method}
                places.append(facts | names | place(values, scenes[modality], case.laterality))
        maps_of_volume = {key: maps[Modality.DBT] for key, maps in looks.items() if Modality.DBT in maps}
        maps_of_volume["-", "ideal map"] = scenes[Modality.DBT].distance_mm <= IDEAL_MM
        hits = depth_hits(chosen.data, case, maps_of_volume, scenes[Modality.DBT].box, found["slice"], spacing_mm)
        depths += [facts | {"head": head, "method": method} | hit for (head, method), hit in hits.items()]
    heat, depth = with_other_patients(pd.DataFrame(places)), pd.DataFrame(depths)
    print_table(heat, ["head", "image", "method", "label"], "heat", ["others", "breast", "box", "peak"])
    print_table(depth, ["head", "method", "label"], "relative", ["random", "evidence"])
    print_table(depth[depth["method"] == "ideal map"], ["method", "finding"], "relative", ["random", "evidence"])


def looked(data: Path, backbone: str) -> Iterator[tuple[Case, dict[tuple[str, str], Maps]]]:
    """Yield the maps of every pair by head and method, of the fold that tests the pair."""
    cases = read_table(data / "cases.csv")
    folds = read_folds(data / "split.csv", cases)
    heads = {
        (fold, head): read_head(data / f"models/{backbone}/fold{fold}", head)[0] for fold in set(folds) for head in Head
    }
    for case, fold in zip(tqdm(cases), folds, strict=True):
        features = {modality: original_features(data, backbone, case, modality) for modality in case.modalities}
        looks = {}
        for head in Head:
            maps = torch.stack([features[modality] for modality in head.modalities], dim=-1)
            for name, method in METHODS.items():
                looks[str(head), name] = method(head, heads[fold, head], maps)
        yield case, looks


def original_features(data: Path, backbone: str, case: Case, modality: Modality) -> torch.Tensor:
    """Return the feature maps of the image that is not augmented: float32, shape (C, h, w)."""
    path = data / f"features/{backbone}/{modality}/{case.case_id}.h5"
    origin, _ = read_provenance(path)
    return torch.from_numpy(read_copy(path, origin.copies.index("original"))).float()


def scene(data: Path, case: Case, modality: Modality, found: pd.Series, *, pad: bool) -> Scene:
    """Find the crop box of an image, and in it the finding and the breast. Both images show the same field of view."""
    header = dcmread(data / "phantom/cohort" / case.dm)
    inside = header.pixel_array > 0
    image = read_gray(data / IMAGES[modality] / f"{case.case_id}.png")
    box_rows, box_columns = breast_box(image)
    box, shape = (box_rows.start, box_rows.stop, box_columns.start, box_columns.stop), image.shape
    if modality is Modality.DM:
        box, shape = original_box(box, inside.shape, len(image), pad=pad), inside.shape
    at = (np.arange(_POINTS) + 0.5) / _POINTS
    rows, columns = (box[0] + (box[1] - box[0]) * at) / shape[0], (box[2] + (box[3] - box[2]) * at) / shape[1]
    field_mm = np.array(inside.shape) * np.array(header.ImagerPixelSpacing, float)
    distance_mm = np.hypot((rows[:, None] - found["row"]) * field_mm[0], (columns - found["column"]) * field_mm[1])
    pixels = np.ix_((rows * inside.shape[0]).astype(int), (columns * inside.shape[1]).astype(int))
    return Scene(box, distance_mm, inside[pixels])


def place(values: np.ndarray, seen: Scene, side: Laterality) -> dict[str, object]:
    """Compare a heat map with the place of the finding.

    Returns
    -------
    dict
        ``heat``: share of the heat near the finding, negative values as 0; NaN without any. ``peak``: share of the
        hottest cell. ``breast`` and ``box``: shares of these areas. ``cells`` and ``near``: the map with the sum 1, and
        the part of each cell that is near, both as of a left breast.
    """
    near = seen.distance_mm <= RADIUS_MM
    of_row, of_column = (np.arange(_POINTS) * cells // _POINTS for cells in values.shape)
    counted = np.zeros((2, *values.shape))
    np.add.at(counted, (slice(None), of_row[:, None], of_column), [near, np.ones_like(near)])
    heat = np.maximum(values, 0).astype(np.float64)
    heat = heat / heat.sum() if heat.any() else np.full(heat.shape, np.nan)
    near_cells, turn = counted[0] / counted[1], -1 if side is Laterality.RIGHT else 1
    return {
        "heat": (heat * near_cells).sum(),
        "peak": near_cells.flat[heat.argmax()],
        "breast": near[seen.breast].mean(),
        "box": near.mean(),
        "cells": heat[:, ::turn],
        "near": near_cells[:, ::turn],
    }


def depth_hits(
    data: Path, case: Case, heat: dict[tuple[str, str], np.ndarray], box: Box, number: int, spacing_mm: float
) -> dict[tuple[str, str], dict[str, float]]:
    """Say of each heat map whether the slice that it points to is at the depth of the finding, slice `number`.

    Returns
    -------
    dict of dict
        ``evidence``: of the slice with most evidence; ``relative``: with most evidence relative to that of an even
        map; ``random``: the share of slices at that depth. Maps without any heat are left out.
    """
    slices = read_slices(data / "slices" / case.case_id)
    weights = pooling_weights(json.loads((data / f"dynamic/{case.case_id}.json").read_text(encoding="utf-8")))
    at_depth = np.abs(np.arange(1, len(slices) + 1) - number) * spacing_mm <= DEPTH_MM
    even = slice_evidence(slices, weights, np.ones((1, 1)), box)
    found = {key: slice_evidence(slices, weights, values, box) for key, values in heat.items() if (values > 0).any()}
    return {
        key: {
            "evidence": float(at_depth[evidence.argmax()]),
            "relative": float(at_depth[(evidence / even).argmax()]),
            "random": at_depth.mean(),
        }
        for key, evidence in found.items()
    }


def with_other_patients(places: pd.DataFrame) -> pd.DataFrame:
    """Add ``others``: the share of heat that other patients' maps have in the neighborhood of this finding."""
    parts = []
    for _, part in places.dropna(subset="heat").groupby(["head", "image", "method"]):
        patients = part["patient"].to_numpy()
        differs = patients[:, None] != patients
        others = np.tensordot(differs / differs.sum(axis=1, keepdims=True), np.stack(part["cells"].tolist()), 1)
        parts.append(part.assign(others=(others * np.stack(part["near"].tolist())).sum(axis=(1, 2))))
    return pd.concat(parts)


def print_table(table: pd.DataFrame, keys: list[str], value: str, others: list[str]) -> None:
    """Print means in percent, with the intervals of the value and of its difference from the first of the others."""
    names = [*keys, "pairs", value, *others, f"{value} - {others[0]}"]
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(keys)}{' ---: |' * (len(names) - len(keys))}")
    for group, part in table.groupby(keys):
        cells = [*map(str, group), str(len(part)), with_interval(part, part[value])]
        cells += [f"{100 * part[other].mean():.1f}" for other in others]
        print(f"| {' | '.join([*cells, with_interval(part, part[value] - part[others[0]])])} |")
    print()


def with_interval(part: pd.DataFrame, values: pd.Series) -> str:
    """Return the mean in percent with its 95 % interval; whole patients are drawn."""
    draws = [w @ values.to_numpy() / w.sum(axis=1) for w in drawn_weights(part["patient"].tolist(), _BOOTSTRAP)]
    low, high = percentile_interval(np.concatenate(draws))
    return f"{100 * values.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    main()
