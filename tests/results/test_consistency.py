import numpy as np
import pandas as pd
import pytest

from dmdbt.evaluation import Bootstrap
from dmdbt.evaluation.predictions import CLASSIFIERS
from dmdbt.results.consistency import consistency_groups

BOOTSTRAP = Bootstrap(draws=200, seed=3)


def predictions(*columns, label="bbmm", patients=None):
    """One table per column of probabilities, which every classifier has."""
    n_pairs = len(label)
    names = {
        "case_id": [f"c{n}" for n in range(n_pairs)],
        "patient_id": patients or [f"p{n}" for n in range(n_pairs)],
        "label": ["malignant" if letter == "m" else "benign" for letter in label],
    }
    tables = [pd.DataFrame(names | {f"p_{name}": column for name in CLASSIFIERS}) for column in columns]
    return dict(zip(("alexnet", "resnet", "densenet"), tables, strict=False))


def rows(tables, sources=None):
    found = consistency_groups(tables, sources or dict.fromkeys(tables, "procedural"), BOOTSTRAP)
    return {row["classifier"]: row for row in found[0]["rows"]}


def auc(label, probs):
    """Share of the pairs of a malignant and a benign that are in order, by loops."""
    found = [
        (m > b) + (m == b) / 2
        for m, x in zip(probs, label, strict=True)
        if x == "m"
        for b, y in zip(probs, label, strict=True)
        if y == "b"
    ]
    return sum(found) / len(found) if found else np.nan


def test_the_spread_is_the_largest_auc_less_the_smallest():
    # In order: 4 of 4, 3 of 4 and 2 of 4 pairs of a benign and a malignant one.
    tables = predictions([0.1, 0.2, 0.3, 0.4], [0.1, 0.3, 0.2, 0.4], [0.1, 0.4, 0.2, 0.3])
    row = rows(tables)["dm"]
    assert (row["min"], row["max"], row["spread"]["value"]) == (0.5, 1, 0.5)
    assert (row["n_pairs"], row["n_patients"]) == (4, 4)
    assert (row["paper_min"], row["paper_max"]) == (0.87, 0.90)
    assert (rows(tables)["ensemble"]["paper_min"], rows(tables)["ensemble"]["paper_max"]) == (0.96, 0.97)


def test_the_interval_is_that_of_the_spread_on_the_same_drawn_patients():
    rng = np.random.default_rng(5)
    label = "bbmm" * 10
    patients = [f"p{n // 2:02}" for n in range(len(label))]
    columns = [rng.random(len(label)).tolist() for _ in range(3)]
    names, drawing, spreads = sorted(set(patients)), np.random.default_rng(BOOTSTRAP.seed), []
    for _ in range(BOOTSTRAP.draws):
        drawn = drawing.integers(len(names), size=len(names))
        items = [n for patient in drawn for n, name in enumerate(patients) if name == names[patient]]
        areas = [auc([label[n] for n in items], [column[n] for n in items]) for column in columns]
        spreads.append(max(areas) - min(areas))
    spread = rows(predictions(*columns, label=label, patients=patients))["dbt"]["spread"]
    areas = [auc(label, column) for column in columns]
    assert spread["value"] == pytest.approx(max(areas) - min(areas))
    assert (spread["low"], spread["high"]) == pytest.approx(tuple(np.quantile(spreads, [0.025, 0.975])))


def test_only_pairs_that_every_backbone_has_measured_count():
    one, other = [0.1, 0.2, 0.3, 0.4, 0.9, 0.9], [0.1, 0.3, 0.2, 0.4, np.nan, 0.9]
    tables = predictions(one, other, one, label="bbmmbb")
    tables["alexnet"] = tables["alexnet"].iloc[::-1]
    tables["densenet"] = tables["densenet"].iloc[:5]
    row = rows(tables)["dm_dbt"]
    assert (row["n_pairs"], row["min"], row["max"]) == (4, 0.75, 1)


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (predictions([0.1, 0.2, 0.3, 0.4]), "a spread needs two backbones"),
        (predictions([0.1, 0.2], [0.2, 0.1], label="bb"), "all pairs are of one class"),
        (predictions([0.1, np.nan], [np.nan, 0.1], label="bm"), "no pair is measured with every backbone"),
    ],
)
def test_without_a_spread_there_is_a_reason(tables, reason):
    assert rows(tables)["dm"]["spread"] == {"value": None, "reason": reason}


def test_a_modality_that_all_lack_leaves_the_others_measured():
    tables = predictions([0.1, 0.2, 0.3, 0.4], [0.1, 0.3, 0.2, 0.4])
    found = rows({name: table.assign(p_dbt=np.nan) for name, table in tables.items()})
    assert found["dbt"]["spread"]["reason"] == "no pair is measured with every backbone"
    assert found["dm"]["spread"]["value"] == 0.25


def test_draws_without_a_class_leave_no_interval():
    spread = rows(predictions([0.1, 0.2], [0.2, 0.1], label="bm"))["dm"]["spread"]
    assert (spread["value"], spread["low"], spread["high"]) == (1, None, None)
    assert "of 200 draws" in spread["reason"]


def test_backbones_of_one_source_of_weights_are_measured_again_where_there_are_several():
    column = [0.1, 0.2, 0.3, 0.4]
    sources = {"alexnet": "imagenet", "resnet": "procedural", "densenet": "procedural"}
    found = consistency_groups(predictions(column, column, column), sources, BOOTSTRAP)
    assert [(group["backbones"], group["weights"]) for group in found] == [
        (["alexnet", "resnet", "densenet"], ["imagenet", "procedural"]),
        (["resnet", "densenet"], ["procedural"]),
    ]
    alike = consistency_groups(predictions(column, column), dict.fromkeys(("alexnet", "resnet"), "file"), BOOTSTRAP)
    assert [group["weights"] for group in alike] == [["file"]]
