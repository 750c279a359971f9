import json

import numpy as np
import pandas as pd
import pytest

from dmdbt import params
from dmdbt.cohort import write_quarantine
from dmdbt.evaluation import Bootstrap, add_votes, delong_test, write_table
from dmdbt.results.claims import all_claims, claim_rows, verdict
from dmdbt.terms import Head
from stages import tables
from tests.support import ROOT
from tests.support.cohorts import write_counts

BOOTSTRAP = Bootstrap(draws=300, seed=2)
HEADS = [f"p_{head}" for head in Head]


def scored(n_pairs=120, *, quality=(0.5, 0.2, 2.5)):
    """Pairs of patients with two each; `quality` is the shift of each head."""
    rng = np.random.default_rng(4)
    targets = (np.arange(n_pairs) // 2) % 2
    names = {
        "case_id": [f"c{n:03}" for n in range(n_pairs)],
        "patient_id": [f"p{n // 2:03}" for n in range(n_pairs)],
        "label": np.where(targets == 1, "malignant", "benign"),
        "fold": (np.arange(n_pairs) // 4 % 2).astype(str),
    }
    logits = {name: rng.normal(shift * (targets - 0.5)) for name, shift in zip(HEADS, quality, strict=True)}
    return pd.DataFrame(names | {name: 1 / (1 + np.exp(-values)) for name, values in logits.items()})


def voted(table):
    return add_votes(table, dict.fromkeys(Head, 1))


def baseline(table, name="p_dm"):
    return table[["case_id", "patient_id", "label", "fold"]].assign(p=table[name])


def rows_by_id(predictions, baselines):
    return {row["id"]: row for row in claim_rows(all_claims(predictions, baselines, BOOTSTRAP))}


def test_a_claim_has_both_numbers_and_a_verdict_and_may_be_contradicted():
    table = voted(scored())
    rows = rows_by_id({"alexnet": table, "resnet": voted(scored(quality=(2.5, 0.2, 0.2)))}, {})
    row = rows["alexnet-dm_dbt-over-dm-auc"]
    found = delong_test(table["label"] == "malignant", table["p_dm_dbt"], table["p_dm"], patients=table["patient_id"])
    assert (row["difference"], row["low"], row["high"], row["p_value"]) == found[3:7]
    assert (row["verdict"], row["paper_first"], row["paper_second"]) == ("supported", 0.95, 0.87)
    assert (row["n_pairs"], row["n_patients"], row["test"]) == (120, 60, "DeLong, patients as clusters")
    assert rows["resnet-dm_dbt-over-dm-auc"]["verdict"] == "contradicted"
    assert rows["alexnet-ensemble-over-best_head-auc"]["difference"] < 0
    assert all(row["p_holm"] >= row["p_value"] for row in rows.values())


@pytest.mark.parametrize(
    ("difference", "p_holm", "expected"),
    [
        (0.1, 0.049, "supported"),
        (-0.1, 0.049, "contradicted"),
        (0.1, 0.05, "not supported"),
        (0.1, None, "undefined"),
        (None, None, "undefined"),
    ],
)
def test_a_verdict_needs_a_corrected_p_value_below_a_twentieth(difference, p_holm, expected):
    assert verdict(difference, p_holm) == expected


def test_the_best_head_is_chosen_anew_in_every_draw():
    """Three equally good heads: which is best is chance, and a fixed one would make the ensemble look better."""
    table = voted(scored(quality=(1, 1, 1)))
    row = rows_by_id({"densenet": table}, {})["densenet-ensemble-over-best_head-acc"]
    heads = [(table[f"decision_{head}"] == table["label"]).mean() for head in Head]
    assert row["second_value"] == pytest.approx(max(heads))
    assert row["first_value"] == pytest.approx((table["decision_ensemble"] == table["label"]).mean())
    assert row["low"] < row["difference"]
    assert (row["first"], row["second"]) == ("densenet ensemble", "densenet best head")


def test_a_baseline_is_compared_with_the_head_of_its_input_and_with_both_images():
    table = voted(scored())
    rows = rows_by_id({"alexnet": table}, {"2d_t3_alex": baseline(table), "svm_gap": baseline(table, "p_dbt")})
    of_dm = rows["alexnet-dm-over-2d_t3_alex-auc"]
    assert (of_dm["difference"], of_dm["p_value"], of_dm["verdict"]) == (0, 1, "not supported")
    assert of_dm["reason"] == "both rank all pairs alike"
    assert {name for name in rows if "svm_gap" in name} == {
        "alexnet-dm_dbt-over-svm_gap-auc",
        "alexnet-ensemble-over-svm_gap-auc",
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: "no predictions: 3d_t2_alex.csv is missing", "no predictions: 3d_t2_alex.csv is missing"),
        (lambda scores: scores[3:], "the baseline has no probability of 3 of the 120 compared pairs"),
        (lambda scores: scores.assign(label="benign"), "the baseline was tested with other labels"),
    ],
)
def test_a_baseline_without_the_same_pairs_is_undefined_for_a_reason(change, reason):
    table = voted(scored())
    row = rows_by_id({"alexnet": table}, {"3d_t2_alex": change(baseline(table))})["alexnet-dbt-over-3d_t2_alex-auc"]
    assert (row["verdict"], row["reason"], row["p_holm"]) == ("undefined", reason, None)


def test_one_class_makes_every_claim_about_the_auc_undefined():
    rows = rows_by_id({"alexnet": voted(scored().assign(label="benign"))}, {})
    undefined = {row["metric"] for row in rows.values() if row["verdict"] == "undefined" and row["reason"]}
    assert undefined == {"auc"} == {row["metric"] for row in rows.values()} - {"acc", "confidence"}


def test_without_a_complete_pair_there_is_no_best_head_and_nothing_to_compare():
    table = scored()
    table.loc[::2, ["p_dbt", "p_dm_dbt"]] = np.nan
    table.loc[1::2, ["p_dm", "p_dm_dbt"]] = np.nan
    rows = rows_by_id({"alexnet": voted(table)}, {})
    assert {row["verdict"] for row in rows.values()} == {"undefined"}
    for name in ("ensemble-over-best_head-auc", "dbt-over-dm-confidence"):
        assert rows[f"alexnet-{name}"]["reason"] == "no pair has a probability of every head"


def test_pairs_that_lack_a_modality_are_in_no_claim():
    table = scored()
    table.loc[table.index[:20], ["p_dbt", "p_dm_dbt"]] = np.nan
    rows = rows_by_id({"alexnet": voted(table)}, {})
    assert {row["n_pairs"] for row in rows.values()} == {100}
    whole = rows_by_id({"alexnet": voted(table[20:])}, {})
    assert rows == whole


def draws_of(values, patients):
    """The values of one drawn list of patients after another, by a loop over the same draws as `BOOTSTRAP`."""
    names = sorted(set(patients))
    rng = np.random.default_rng(BOOTSTRAP.seed)
    for _ in range(BOOTSTRAP.draws):
        drawn = [names[n] for n in rng.integers(len(names), size=len(names))]
        yield values([row for name in drawn for row in np.flatnonzero(np.array(patients) == name)])


def confidence(table, head):
    """The paper's AC by a loop over pairs."""
    found = []
    for row in table.itertuples():
        p = getattr(row, f"p_{head}")
        if (p >= 0.5) == (row.label == "malignant"):
            found.append(max(p, 1 - p))
    return sum(found) / len(found)


@pytest.mark.parametrize(
    ("first", "second", "printed"),
    [("dm_dbt", "dm", (0.97, 0.80)), ("dm_dbt", "dbt", (0.97, 0.79)), ("dbt", "dm", (0.79, 0.80))],
)
def test_confidences_are_compared_on_the_same_drawn_patients(first, second, printed):
    table = voted(scored())
    row = rows_by_id({"squeezenet": table}, {})[f"squeezenet-{first}-over-{second}-confidence"]
    differences = [
        confidence(drawn, first) - confidence(drawn, second)
        for drawn in draws_of(lambda rows: table.iloc[rows], table["patient_id"])
    ]
    assert row["first_value"] == pytest.approx(confidence(table, first))
    assert row["second_value"] == pytest.approx(confidence(table, second))
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])))
    beyond = min(sum(d <= 0 for d in differences), sum(d >= 0 for d in differences))
    assert row["p_value"] == pytest.approx(min(1, 2 * (1 + beyond) / (1 + len(differences))))
    assert (row["paper_first"], row["paper_second"], row["test"]) == (*printed, "patient bootstrap")


def test_dbt_is_compared_with_dm_by_delongs_test():
    table = voted(scored())
    row = rows_by_id({"densenet": table}, {})["densenet-dbt-over-dm-auc"]
    found = delong_test(table["label"] == "malignant", table["p_dbt"], table["p_dm"], patients=table["patient_id"])
    assert (row["difference"], row["low"], row["high"], row["p_value"]) == found[3:7]
    assert (row["paper_first"], row["paper_second"]) == (0.91, 0.90)
    assert row["claim"] == "densenet: DBT is better than DM"


def test_a_backbone_that_the_paper_lacks_has_the_same_claims_without_its_figures():
    rows = rows_by_id({"mobilenet_v2": voted(scored()), "alexnet": voted(scored())}, {})
    of_paper = {name.removeprefix("alexnet") for name in rows if name.startswith("alexnet")}
    assert {name.removeprefix("mobilenet_v2") for name in rows if name.startswith("mobilenet_v2")} == of_paper
    papers = [
        row[side] for name, row in rows.items() if "mobilenet" in name for side in ("paper_first", "paper_second")
    ]
    assert set(papers) == {None}


def run_tables(folder, table, *, simulated=True, names=("alexnet",)):
    for name in names:
        write_table(folder / f"predictions/{name}.csv", voted(table))
        (folder / f"predictions/{name}.json").write_text('{"source": "procedural"}')
    write_table(folder / "baselines/2d_t3_alex.csv", baseline(table))
    write_quarantine(folder / "quarantine.csv", [])
    written = [folder / f"tables.{kind}" for kind in ("json", "md", "tex")]
    tables.main(
        write_counts(folder / "cohort.json", simulated=simulated),
        folder / "predictions",
        folder / "baselines",
        folder / "quarantine.csv",
        *written,
        backbones=params.Backbones(list(names), 18, "procedural"),
        compared=params.read(params.Baselines, ROOT / "params.yaml"),
        evaluation=params.Evaluation(draws=200, seed=1),
    )
    return json.loads(written[0].read_text()), written[1].read_text(), written[2].read_text()


def test_the_tables_have_our_cells_beside_the_papers_figures(tmp_path):
    content, markdown, latex = run_tables(tmp_path, scored(), names=("alexnet", "other_net"))
    assert (content["format"], content["version"], content["simulated"]) == ("dmdbt tables", 2, True)
    assert (content["n_pairs"], content["n_patients"], content["n_malignant"]) == (120, 60, 60)
    assert content["weights"]["alexnet"] == {"source": "procedural"}
    models = {row["model"]: row for row in content["models"]}
    assert [row["paper"] for row in models.values()] == [0.87, 0.72, 0.87, 0.89, 0.95, 0.97]
    assert models["2d_t3_alex"]["ours"] == models["dm"]["ours"]
    assert models["3d_t2_alex"]["ours"] == {"value": None, "reason": "no predictions: 3d_t2_alex.csv is missing"}
    ensembles = {row["backbone"]: row for row in content["ensembles"]}
    assert ensembles["alexnet"]["best_head"]["name"] == "dm_dbt"
    assert ensembles["other_net"]["paper"] is None
    misprint = content["heads"][0]
    assert misprint["paper"]["precision"] == 0.87
    assert "misprint" in misprint["note"]
    assert misprint["ours"]["auc"]["low"] < misprint["ours"]["auc"]["value"] < misprint["ours"]["auc"]["high"]
    for text in (markdown, latex):
        assert "DM-DBT is more confident than DM " in text
        assert "smallest" in text
        assert "simulated cohort" in text
        assert "captions of Tables II and III are swapped" in text
        assert f"{models['dm']['ours']['value']:.3f}" in text
        assert "undefined: no predictions" in text


def test_tables_of_a_cohort_that_states_nothing_say_so(tmp_path):
    content, markdown, latex = run_tables(tmp_path, scored(), simulated=None)
    assert content["simulated"] is None
    assert markdown.startswith("# Tables (cohort not stated to be real or simulated)\n")
    assert r"\caption{Claims (cohort not stated to be real or simulated)}" in latex
    assert "simulated cohort" not in markdown + latex


def test_markdown_has_equal_rows_and_latex_no_bare_special_sign(tmp_path):
    _, markdown, latex = run_tables(tmp_path, scored(), simulated=False, names=("other_net",))
    assert "simulated" not in markdown
    for block in markdown.split("\n\n"):
        assert len({line.count("|") for line in block.splitlines() if line.startswith("|")}) <= 1
    assert r"other\_net" in latex
    assert "other_net (weights: procedural) | DM | - | - | undefined: a spread needs two backbones | -, - |" in markdown
    body = [line for line in latex.splitlines() if not line.startswith(("%", "\\"))]
    assert not any("_" in line.replace(r"\_", "") or "%" in line.replace(r"\%", "") for line in body)


def test_a_small_p_value_is_not_written_as_zero(tmp_path):
    content, markdown, _ = run_tables(tmp_path, scored(n_pairs=400, quality=(0.2, 0.2, 4)))
    p_values = [row["p_value"] for row in content["claims"] if row["verdict"] == "supported"]
    assert 0 < min(p_values) < 1e-6
    assert "< 0.001" in markdown


def test_equal_predictions_give_equal_bytes(tmp_path):
    first, second = (run_tables(tmp_path / name, scored()) for name in ("a", "b"))
    assert first == second
