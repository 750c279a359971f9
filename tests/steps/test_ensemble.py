import json

import numpy as np
import pytest

from dmdbt import params
from dmdbt.errors import InputDataError
from dmdbt.evaluation import classifier_metrics
from tests.support.predictions import BOOTSTRAP, HEADS, PROVENANCE, quarantine, read_rows, run_ensemble, run_summary


def measure(rows, name):
    targets = [int(row["label"] == "malignant") for row in rows]
    decisions = [row[f"decision_{name}"] == "malignant" for row in rows]
    return classifier_metrics(
        targets,
        [float(row[f"p_{name}"]) for row in rows],
        decisions=decisions,
        patients=[r["patient_id"] for r in rows],
        bootstrap=BOOTSTRAP,
    )


def test_predictions_are_the_weighted_vote_of_each_row(tmp_path, cases, probabilities):
    predictions, _ = run_ensemble(tmp_path, cases, probabilities)
    rows = read_rows(predictions)
    assert [row["case_id"] for row in rows] == sorted(case["case_id"] for case in cases)
    assert rows[0]["patient_id"] == "001"
    for row in rows:
        probs = np.array([float(row[f"p_{head}"]) for head in HEADS])
        votes = [row[f"decision_{head}"] == "malignant" for head in HEADS]
        fraction, mean = np.dot(votes, [0.25, 0.25, 0.5]), np.dot(probs, [0.25, 0.25, 0.5])
        assert votes == (probs >= 0.5).tolist()
        assert float(row["vote_fraction"]) == fraction
        assert float(row["p_ensemble"]) == pytest.approx(mean)
        malignant = mean >= 0.5 if fraction == 0.5 else fraction > 0.5
        assert row["decision_ensemble"] == ("malignant" if malignant else "benign")


def test_metrics_are_those_of_the_written_predictions_in_six_digits(tmp_path, cases, probabilities):
    predictions, metrics = run_ensemble(tmp_path, cases, probabilities)
    rows, content = read_rows(predictions), json.loads(metrics.read_text())
    targets = [int(row["label"] == "malignant") for row in rows]
    for name in HEADS:
        assert content[name] == {key: round(value, 6) for key, value in measure(rows, name).items()}
    fractions, patients = [float(row["vote_fraction"]) for row in rows], [row["patient_id"] for row in rows]
    votes = classifier_metrics(targets, fractions, patients=patients, bootstrap=BOOTSTRAP)
    of_votes = {f"auc_vote_fraction{end}": votes[f"auc{end}"] for end in ("", "_low", "_high")}
    expected = measure(rows, "ensemble") | of_votes
    assert content["ensemble"] == {key: round(value, 6) for key, value in expected.items()}
    assert content["best_head"]["auc"] == max(content[head]["auc"] for head in HEADS)
    assert content[content["best_head"]["name"]]["auc"] == content["best_head"]["auc"]
    assert content["weights"] == PROVENANCE
    assert content["folds"] == [0, 1]
    assert "incomplete_pairs" not in content
    assert content["quarantined"] == 0


def test_the_papers_protocol_counts_copies_as_items_and_each_class_one_half(tmp_path, cases, probabilities):
    _, metrics = run_ensemble(tmp_path, cases, probabilities)
    content = json.loads(metrics.read_text())
    block, dm = content["paper_protocol"], content["paper_protocol"]["dm"]
    assert block["copies"] == ["original", "flip"]
    assert (dm["n"], dm["n_patients"]) == (2 * len(cases), 30)
    assert dm["acc"] == pytest.approx((dm["recall"] + dm["tn"] / (dm["tn"] + dm["fp"])) / 2, abs=1e-6)
    assert dm["ap_hard"] == pytest.approx(dm["precision"] * dm["recall"] + (1 - dm["recall"]) / 2, abs=1e-6)
    assert dm["auc_low"] < dm["auc"] < dm["auc_high"]


def test_a_unit_has_the_mean_probability_and_is_malignant_if_one_pair_is(tmp_path, cases, probabilities):
    predictions, metrics = run_ensemble(tmp_path, cases, probabilities)
    rows, content = read_rows(predictions), json.loads(metrics.read_text())["units"]
    side = {case["case_id"]: case["laterality"] for case in cases}
    keys = {"breast": lambda row: (row["patient_id"], side[row["case_id"]]), "patient": lambda row: row["patient_id"]}
    for unit, key in keys.items():
        groups = {}
        for row in rows:
            groups.setdefault(key(row), []).append(row)
        targets = [int(any(row["label"] == "malignant" for row in group)) for group in groups.values()]
        for name in (*HEADS, "ensemble"):
            probs = [np.mean([float(row[f"p_{name}"]) for row in group]) for group in groups.values()]
            expected = classifier_metrics(targets, probs)
            assert {key: content[unit][name][key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert (content["breast"]["dm"]["n"], content["patient"]["dm"]["n"]) == (36, 30)


def test_the_order_of_the_rows_does_not_change_a_byte(tmp_path, cases, probabilities):
    first = run_ensemble(tmp_path / "a", cases, probabilities)
    second = run_ensemble(tmp_path / "b", cases[::-1], probabilities[::-1])
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_pairs_without_a_modality_are_voted_on_and_reported_apart(tmp_path, cases, probabilities):
    for row in probabilities[:8]:
        row["p_dbt"] = row["p_dm_dbt"] = ""
    predictions, metrics = run_ensemble(tmp_path, cases, probabilities)
    content = json.loads(metrics.read_text())
    assert content["ensemble"]["n"] == content["dbt"]["n"] == len(cases) - 8
    apart = content["incomplete_pairs"]
    assert (apart["dm"]["n"], apart["dbt"]["n"], apart["ensemble"]["n"]) == (8, 0, 8)
    alone = read_rows(predictions)[0]
    assert alone["decision_dbt"] == ""
    assert float(alone["p_ensemble"]) == pytest.approx(float(alone["p_dm"]))
    assert alone["decision_ensemble"] == alone["decision_dm"]


def test_where_no_pair_is_complete_all_pairs_are_measured_and_the_summary_says_so(
    tmp_path, cases, probabilities, capsys
):
    for number, row in enumerate(probabilities):
        row["p_dm_dbt"] = row["p_dbt" if number % 2 else "p_dm"] = ""
    content = json.loads(run_ensemble(tmp_path, cases, probabilities)[1].read_text())
    n = len(cases)
    assert [content[name]["n"] for name in (*HEADS, "ensemble")] == [n // 2, n - n // 2, 0, n]
    assert "incomplete_pairs" not in content
    run_summary(tmp_path)
    heading = capsys.readouterr().out.splitlines()[0]
    assert heading.startswith(f"AUC (accuracy) of {n} pairs of 30 patients;")
    assert "no pair has both modalities and all three heads" in heading
    summary_of = json.loads((tmp_path / "metrics" / "summary.json").read_text())["alexnet"]
    assert summary_of["auc"] == content["ensemble"]["auc"]
    drawn = {row["classifier"] for row in read_rows(tmp_path / "plots" / "roc.csv")}
    assert drawn == {"dm", "dbt", "ensemble"}


def test_a_head_that_one_fold_could_not_train_leaves_the_pairs_of_that_fold_apart(tmp_path, cases, probabilities):
    for row in probabilities:
        if row["fold"] == 0:
            row["p_dm_dbt"] = ""
    content = json.loads(run_ensemble(tmp_path, cases, probabilities)[1].read_text())
    assert content["folds"] == [0, 1]
    n_apart = sum(row["fold"] == 0 for row in probabilities)
    assert content["incomplete_pairs"]["ensemble"]["n"] == n_apart
    assert content["ensemble"]["n"] == len(cases) - n_apart


def test_every_metrics_file_and_the_heading_have_the_number_of_quarantined_cases(
    tmp_path, cases, probabilities, capsys
):
    content = json.loads(run_ensemble(tmp_path, cases, probabilities, quarantined=3)[1].read_text())
    run_summary(tmp_path)
    summary_of = json.loads((tmp_path / "metrics" / "summary.json").read_text())
    assert (content["quarantined"], summary_of["quarantined"]) == (3, 3)
    assert "cases in quarantine: 3" in capsys.readouterr().out.splitlines()[0]
    quarantine(tmp_path)
    run_summary(tmp_path)
    assert "quarantine" not in capsys.readouterr().out.splitlines()[0]


def test_a_pair_whose_heads_have_no_weight_is_named(tmp_path, cases, probabilities):
    probabilities[3] |= {"p_dm": "", "p_dm_dbt": ""}
    settings = params.Ensemble({"dm": 1.0, "dbt": 0.0, "dm_dbt": 1.0})
    with pytest.raises(InputDataError, match=f"VOTE-NONE case={probabilities[3]['case_id']} .*ensemble.weights"):
        run_ensemble(tmp_path, cases, probabilities, settings=settings)


@pytest.mark.parametrize("cell", ["nan", "1.5", "-0.1", "inf", "much"])
def test_a_cell_that_is_no_probability_is_named(tmp_path, cases, probabilities, cell):
    probabilities[3]["p_dbt"] = cell
    message = f"PROBABILITY-RANGE case={probabilities[3]['case_id']} file=alexnet.csv .*p_dbt, got '{cell}'"
    with pytest.raises(InputDataError, match=message):
        run_ensemble(tmp_path, cases, probabilities)


def test_a_pair_that_no_head_has_seen_is_named(tmp_path, cases, probabilities):
    probabilities[3] |= dict.fromkeys((f"p_{head}" for head in HEADS), "")
    with pytest.raises(InputDataError, match=f"PROBABILITY-NONE case={probabilities[3]['case_id']}"):
        run_ensemble(tmp_path, cases, probabilities)


def test_a_missing_column_is_named(tmp_path, cases, probabilities):
    rows = [{name: value for name, value in row.items() if name != "p_dbt"} for row in probabilities]
    with pytest.raises(InputDataError, match=r"TABLE-COLUMNS .*none named p_dbt"):
        run_ensemble(tmp_path, cases, rows)
