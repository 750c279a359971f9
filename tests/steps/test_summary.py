import json

import numpy as np
import pytest

from dmdbt.errors import IntegrityError
from tests.support.predictions import HEADS, read_rows, run_ensemble, run_summary


def test_the_summary_has_three_numbers_of_each_configured_backbone(tmp_path, cases, probabilities, capsys):
    metrics = {name: run_ensemble(tmp_path, cases, probabilities, name)[1] for name in ("alexnet", "resnet", "old")}
    run_summary(tmp_path, names=("resnet", "alexnet"))
    content = json.loads((tmp_path / "metrics" / "summary.json").read_text())
    assert content.keys() == {"alexnet", "resnet", "quarantined"}
    of_stage = json.loads(metrics["alexnet"].read_text())
    expected = {key: of_stage["ensemble"][key] for key in ("acc", "auc")}
    assert content["alexnet"] == expected | {"best_head_auc": of_stage["best_head"]["auc"]}
    printed = capsys.readouterr().out
    assert (tmp_path / "metrics" / "summary.txt").read_text() == printed
    lines = printed.splitlines()
    assert f"{len(cases)} pairs of 30 patients; tested in folds 0, 1" in lines[0]
    assert [line.split()[:2] for line in lines[2:4]] == [["resnet", "(procedural)"], ["alexnet", "(procedural)"]]
    assert f"{content['alexnet']['auc']:.3f} ({content['alexnet']['acc']:.3f})" in lines[3]
    assert lines[-1].startswith("Next: dvc metrics show, dvc plots show, ")


@pytest.mark.parametrize(
    ("simulated", "end"),
    [
        (True, "; simulated cohort"),
        (False, "; tested in folds 0, 1"),
        (None, "; cohort not stated to be real or simulated"),
    ],
)
def test_the_summary_calls_a_cohort_what_it_states_itself(tmp_path, cases, probabilities, capsys, simulated, end):
    run_ensemble(tmp_path, cases, probabilities)
    run_summary(tmp_path, simulated=simulated)
    assert capsys.readouterr().out.splitlines()[0].endswith(end)


def test_the_plots_are_long_tables_that_agree_with_the_metrics(tmp_path, cases, probabilities):
    _, metrics = run_ensemble(tmp_path, cases, probabilities)
    run_summary(tmp_path)
    content = json.loads(metrics.read_text())
    tables = {name: read_rows(tmp_path / "plots" / f"{name}.csv") for name in ("roc", "pr", "calibration", "confusion")}
    for name in (*HEADS, "ensemble"):
        of = {table: [row for row in rows if row["classifier"] == name] for table, rows in tables.items()}
        assert [int(row["point"]) for row in of["roc"]] == list(range(len(of["roc"])))
        sides = [[float(row[f"{side}_positive_rate"]) for row in of["roc"]] for side in ("true", "false")]
        assert np.trapezoid(*sides) == pytest.approx(content[name]["auc"], abs=1e-5)
        assert {row["backbone"] for row in of["pr"]} == {"alexnet"}
        bins = [[float(row[key]) for key in ("mean_probability", "malignant", "pairs")] for row in of["calibration"]]
        gaps = sum(abs(mean - share) * pairs for mean, share, pairs in bins) / len(cases)
        assert gaps == pytest.approx(content[name]["ece"], abs=1e-5)
        counts = {(row["actual"], row["predicted"]): int(row["pairs"]) for row in of["confusion"]}
        assert counts["malignant", "benign"] == content[name]["fn"]
        assert counts["benign", "malignant"] == content[name]["fp"]
        assert sum(counts.values()) == len(cases)


def test_what_is_undefined_is_a_dash_and_no_number(tmp_path, cases, probabilities, capsys):
    for case, row in zip(cases, probabilities, strict=True):
        case["label"] = row["label"] = "benign"
    run_ensemble(tmp_path, cases, probabilities)
    run_summary(tmp_path)
    content = json.loads((tmp_path / "metrics" / "summary.json").read_text())
    assert content["alexnet"].keys() == {"acc"}
    text = capsys.readouterr().out
    assert text.splitlines()[2].endswith("-")
    assert "lack a modality" not in text
    assert read_rows(tmp_path / "plots" / "roc.csv") == []


def test_the_heading_counts_the_pairs_that_are_left_out(tmp_path, cases, probabilities, capsys):
    probabilities[0]["p_dbt"] = probabilities[0]["p_dm_dbt"] = ""
    run_ensemble(tmp_path, cases, probabilities)
    run_summary(tmp_path)
    heading = capsys.readouterr().out.splitlines()[0]
    assert f"{len(cases) - 1} pairs" in heading
    assert "1 more pairs lack a modality or a head" in heading


def test_backbones_that_tested_other_cases_are_not_compared(tmp_path, cases, probabilities):
    run_ensemble(tmp_path, cases, probabilities)
    run_ensemble(tmp_path, cases, probabilities[1:], "resnet")
    with pytest.raises(IntegrityError, match=r"SUMMARY-CASES .*file=resnet.csv .*cases of alexnet.csv"):
        run_summary(tmp_path, names=("alexnet", "resnet"))
