import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dmdbt import params
from dmdbt.cohort import Problem, write_quarantine
from dmdbt.errors import InputDataError, IntegrityError
from dmdbt.evaluation import Bootstrap, classifier_metrics
from stages import ensemble, split, summary
from tests.cohort.test_statement import write_counts

HEADS = ("dm", "dbt", "dm_dbt")
WEIGHTS = params.Ensemble({"dm": 1.0, "dbt": 1.0, "dm_dbt": 2.0})
EVALUATION = params.Evaluation(draws=200, seed=1)
BOOTSTRAP = Bootstrap(draws=200, seed=1)
PROVENANCE = {"source": "procedural", "architecture": "alexnet", "sha256": "ab" * 32}


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def cases():
    """Thirty patients 001 to 030; every third has a second view, every fifth a second breast, benign."""
    rows = []
    for number in range(1, 31):
        label = "malignant" if number % 2 else "benign"
        views = [("L", "CC", label)]
        views += [("L", "MLO", label)] if number % 3 == 0 else []
        views += [("R", "CC", "benign")] if number % 5 == 0 else []
        for side, view, of_view in views:
            name = {"case_id": f"{number:03}-{side}-{view}", "patient_id": f"{number:03}"}
            rows.append(name | {"laterality": side, "view": view, "label": of_view, "dm": "a.dcm", "dbt": "b.avi"})
    return rows


@pytest.fixture
def probabilities(cases):
    rng = np.random.default_rng(5)
    rows = []
    for case in cases:
        row = {name: case[name] for name in ("case_id", "patient_id", "label")} | {"fold": int(case["patient_id"]) % 2}
        shift = 0.15 if case["label"] == "malignant" else -0.15
        rows.append(row | {f"p_{head}": float(np.clip(0.5 + shift + 0.25 * rng.normal(), 0, 1)) for head in HEADS})
    return rows


def quarantine(folder: Path, n_cases=0):
    problems = [Problem(f"z{n}", role, "X", "damage", "Mend it.") for n in range(n_cases) for role in ("dm", "dbt")]
    write_quarantine(folder / "quarantine.csv", problems)


def write_copies(path, probabilities):
    """Each pair twice, its copy with a little less of everything."""
    rows = []
    for row in probabilities:
        less = {name: cell * 0.9 for name, cell in row.items() if name[:2] == "p_" and isinstance(cell, float)}
        rows += [row | {"copy": "original"}, row | less | {"copy": "flip"}]
    write_rows(path, rows)


def run_ensemble(folder: Path, cases, probabilities, backbone="alexnet", *, quarantined=0, settings=WEIGHTS):
    quarantine(folder, quarantined)
    write_rows(folder / "cases.csv", cases)
    write_rows(folder / f"{backbone}.csv", probabilities)
    write_copies(folder / f"{backbone}-copies.csv", probabilities)
    (folder / "weights.json").write_text(json.dumps(PROVENANCE))
    predictions, metrics = folder / "predictions" / f"{backbone}.csv", folder / "metrics" / f"{backbone}.json"
    ensemble.main(
        probabilities=folder / f"{backbone}.csv",
        copies=folder / f"{backbone}-copies.csv",
        cases=folder / "cases.csv",
        quarantine=folder / "quarantine.csv",
        weights=folder / "weights.json",
        predictions=predictions,
        provenance=predictions.with_suffix(".json"),
        metrics=metrics,
        settings=settings,
        evaluation=EVALUATION,
    )
    return predictions, metrics


def run_summary(folder: Path, *, names=("alexnet",), simulated=False):
    summary.main(
        counts=write_counts(folder / "cohort.json", simulated=simulated),
        predictions=folder / "predictions",
        quarantine=folder / "quarantine.csv",
        metrics=folder / "metrics" / "summary.json",
        plots=folder / "plots",
        table=folder / "metrics" / "summary.txt",
        settings=params.Backbones(list(names), 18, "procedural"),
    )


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


def test_the_split_does_not_depend_on_the_order_of_the_cohort(tmp_path, cases):
    outputs = []
    for name, rows in (("a", cases), ("b", cases[::-1])):
        write_rows(tmp_path / f"{name}.csv", rows)
        settings = params.Split(folds=5, test_folds=[0], seed=3)
        split.main(cases=tmp_path / f"{name}.csv", output=tmp_path / f"{name}-split.csv", settings=settings)
        outputs.append((tmp_path / f"{name}-split.csv").read_bytes())
    assert outputs[0] == outputs[1]
    assert {row["fold"] for row in read_rows(tmp_path / "a-split.csv")} == set("01234")


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
