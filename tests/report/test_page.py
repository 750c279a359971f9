"""The page of results, made of real files, as a parser and as a browser see it."""

import csv
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from playwright.sync_api import sync_playwright

from dmdbt import params
from dmdbt.cohort import (
    Problem,
    Statement,
    phantom_source,
    stated,
    write_quarantine,
    write_statement,
    write_table,
)
from dmdbt.errors import IntegrityError
from dmdbt.evaluation import read_predictions
from dmdbt.files import write_json
from dmdbt.report import ReportInputs, ReportSettings
from dmdbt.report.choice import best_backbone, median_pairs, mistakes
from dmdbt.report.svg import INK, inline_svg
from dmdbt.report.words import number, signed
from dmdbt.terms import Label
from stages import ensemble, report, tables
from tests.support import ROOT
from tests.support.cohorts import tiny_cohort
from tests.support.stages import run_image_stages, section

SECTIONS = {
    name: section(kind)
    for name, kind in params.SECTIONS.items()
    if name in ("phantom", "split", "rankpool", "features", "heads", "train", "ensemble")
} | {"mammogram": params.Mammogram(size=64, resize="stretch")}
PROVENANCE = {"source": "procedural", "architecture": "alexnet", "sha256": "ab" * 32}
COMPUTED = {part: {"device": "cpu", "precision": "float32"} for part in ("features", "heads")}
OF_PHANTOM = Statement(True, phantom_source(seed=SECTIONS["phantom"].seed, contrast=1), "drawn")
METRICS = ("acc", "auc", "f1", "precision", "recall", "ap_hard", "confidence")
HEADS = {"dm": {"dm"}, "dbt": {"dbt"}, "dm_dbt": {"dm", "dbt"}}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def write_cohort(folder, *options):
    write_statement(folder / "cohort/cohort.json", OF_PHANTOM)
    return tiny_cohort(folder / "cohort", *options)


def write_predictions(folder, cases, backbones, folds):
    """Random probabilities of the heads that can see a pair, as the stage train writes them, and the stage ensemble."""
    for seed, backbone in enumerate(backbones):
        rng = np.random.default_rng(seed)
        lines = ["case_id,patient_id,label,fold,p_dm,p_dbt,p_dm_dbt"]
        for n, case in enumerate(cases):
            shift = 0.2 if case.label is Label.MALIGNANT else -0.2
            probs = np.clip(0.5 + shift + 0.3 * rng.normal(size=3), 0, 1).tolist()
            cells = [
                repr(p) if needs <= {*case.modalities} else "" for p, needs in zip(probs, HEADS.values(), strict=True)
            ]
            lines.append(",".join([case.case_id, case.patient_id, case.label, str(folds[n % len(folds)]), *cells]))
        (folder / "probabilities.csv").write_text("\n".join(lines) + "\n")
        copies = [f"{lines[0]},copy", *(f"{line},{copy}" for line in lines[1:] for copy in ("original", "flip"))]
        (folder / "copies.csv").write_text("\n".join(copies) + "\n")
        (folder / "weights.json").write_text(json.dumps(PROVENANCE))
        (folder / "training.json").write_text(json.dumps(COMPUTED))
        ensemble.main(
            folder / "probabilities.csv",
            copies=folder / "copies.csv",
            cases=folder / "cases.csv",
            quarantine=folder / "quarantine.csv",
            weights=folder / "weights.json",
            training=folder / "training.json",
            predictions=folder / f"predictions/{backbone}.csv",
            provenance=folder / f"predictions/{backbone}.json",
            metrics=folder / f"metrics/{backbone}.json",
            settings=SECTIONS["ensemble"],
            evaluation=params.Evaluation(draws=100, seed=0),
        )
        losses = [f"{backbone},{f},{head},{e},{1 / e}" for f in folds for e in (1, 2, 3) for head in HEADS]
        (folder / "losses").mkdir(exist_ok=True)
        (folder / f"losses/{backbone}.csv").write_text("\n".join(["backbone,fold,head,epoch,loss", *losses]) + "\n")


def tables_content(backbones, *, defined=True, baselines=True, **others):
    """What the stage tables writes; `defined`: whether anything can be measured."""
    undefined = {"value": None, "reason": "one class <only>"}
    cell = {"value": 0.812345, "low": 0.7, "high": 0.9} if defined else undefined
    numbers = dict.fromkeys(("first_value", "second_value", "difference", "low", "high", "p_value", "p_holm"))
    if defined:
        values = {"first_value": 0.9, "second_value": 0.8, "difference": 0.1, "low": -0.05, "high": 0.25}
        numbers = values | {"p_value": 2e-4, "p_holm": 1.0}
    claim = {
        "id": "joint",
        "claim": f"{backbones[0]}: DM-DBT is better than the baseline 3d_t2_alex",
        "metric": "auc",
        "first": f"{backbones[0]} dm_dbt",
        "second": "baseline 3d_t2_alex",
        "test": "DeLong, patients as clusters",
        "n_pairs": 12,
        "n_patients": 12,
        "paper_first": 0.95,
        "paper_second": 0.72,
        "verdict": "not supported" if defined else "undefined",
        "reason": "" if defined else "one class <only>",
    }
    row = {"backbone": backbones[0], "input": "DM", "ours": cell, "paper": 0.87}
    names = ["2D-T3-Alex", "DM head"] if baselines else []
    return {
        "format": "dmdbt tables",
        "version": 2,
        "simulated": True,
        "folds": [0],
        "n_pairs": 12,
        "n_patients": 12,
        "n_malignant": 6,
        "quarantined": 0,
        "incomplete_pairs": 0,
        "weights": dict.fromkeys(backbones, PROVENANCE),
        "claims": [claim | numbers],
        "consistency": [
            {
                "backbones": backbones,
                "weights": ["procedural"],
                "rows": [
                    {"classifier": "dm_dbt", "n_pairs": 12, "n_patients": 12, "min": 0.75, "max": 0.8125}
                    | {"spread": cell, "paper_min": 0.94, "paper_max": 0.95}
                ],
            }
        ],
        "models": [row | {"model": name} for name in names],
        "ensembles": [
            row | {"backbone": b, "best_head": {"name": "dm"} | cell if defined else None} for b in backbones
        ],
        "heads": [
            {
                "backbone": b,
                "head": h,
                "ours": dict.fromkeys(METRICS, cell),
                "paper": dict.fromkeys(METRICS, 0.5),
                "note": None,
            }
            for b in backbones
            for h in HEADS
        ],
        "footnotes": ["The captions are swapped."],
    } | others


def write_report(folder, backbones=("alexnet",), *, name="report.html", **sections):
    known = SECTIONS | {"backbones": params.Backbones(list(backbones), 18, "procedural")} | sections
    inputs = ReportInputs(
        cases=folder / "cases.csv",
        examined=folder / "examined",
        mammograms=folder / "dm",
        slices=folder / "slices",
        dynamic=folder / "dbt",
        metrics=folder / "metrics",
        predictions=folder / "predictions",
        losses=folder / "losses",
        counts=folder / "cohort.json",
        certificates=folder / "rankpool.json",
        quarantine=folder / "quarantine.csv",
        tables=folder / "tables.json",
    )
    report.main(inputs, folder / name, ReportSettings(**known))
    return (folder / name).read_text(encoding="utf-8")


def state(folder, statement):
    """Let the stage ingest have found another statement."""
    counts = json.loads((folder / "cohort.json").read_text())
    write_json(folder / "cohort.json", counts | stated(statement))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two backbones, two folds, complete pairs."""
    folder = tmp_path_factory.mktemp("cohort")
    cases = write_cohort(folder, 12)
    run_image_stages(folder)
    write_predictions(folder, cases, ["alexnet", "resnet"], folds=[0, 1])
    write_json(folder / "tables.json", tables_content(["alexnet", "resnet"]))
    return folder


@pytest.fixture(scope="module")
def page(cohort):
    return write_report(cohort, ["alexnet", "resnet"])


class Parsed(HTMLParser):
    """What the tests ask of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.stack, self.texts = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.stack.append(tag)

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data):
        if self.stack and data.strip():
            self.texts.setdefault(self.stack[-1], []).append(data.strip())

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def words(text):
    """The visible words of a page, with single spaces."""
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", text, flags=re.DOTALL)
    return " ".join(body.split())


def test_the_page_names_no_address_and_runs_no_script(page):
    assert re.findall(r"https?:|[\"'(]//|<script|<link|@import|javascript:", page) == []
    addresses = [value for _, a in Parsed(page).tags for key in ("src", "href") if (value := a.get(key))]
    assert {address[:5] for address in addresses if not address.startswith("#")} == {"data:"}


def test_every_link_inside_the_page_leads_somewhere_and_no_identifier_comes_twice(page):
    parsed = Parsed(page)
    names = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(names) == len(set(names))
    used = {a["href"][1:] for a in parsed.all("a", "use") if a.get("href", "").startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert used <= set(names)
    assert len(used) > 12


def test_every_picture_and_figure_says_what_is_seen(page):
    parsed = Parsed(page)
    assert len(parsed.all("img")) > 10
    assert all(len(image["alt"]) > 20 for image in parsed.all("img"))
    assert len(parsed.all("svg")) == 1 + 2 * 4
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 40 for svg in parsed.all("svg"))


def test_figures_have_no_color_of_their_own(page):
    figures = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", figures) == []
    texts = re.findall(r"<text[^>]*>", figures)
    assert len(texts) > 50
    assert [text for text in texts if "fill: var(--" not in text] == []


def contrast(one, other):
    """Of two colors, as WCAG 2.2 defines it."""

    def luminance(color):
        shares = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_and_curves_stand_out_in_light_dark_and_print(page):
    schemes = re.findall(r":root \{(.*?)\}", page, flags=re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme))
        for ground in (colors.pop("ground"), colors.pop("surface")):
            found = {name: contrast(color, ground) for name, color in colors.items() if name != "rule"}
            assert len(found) == 10
            assert {name: ratio for name, ratio in found.items() if ratio < (3 if "series" in name else 4.5)} == {}


def test_headings_are_one_title_and_levels_without_a_gap(page):
    levels = [int(tag[1]) for tag, _ in Parsed(page).tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_table_has_a_caption_and_every_heading_cell_a_scope(page):
    parsed = Parsed(page)
    assert len(parsed.all("table")) == len(parsed.all("caption")) > 6
    assert {a.get("scope") for a in parsed.all("th")} == {"col", "row", "rowgroup"}


def test_equal_results_give_equal_bytes_wherever_they_lie(cohort, page, tmp_path):
    shutil.copytree(cohort, tmp_path / "elsewhere")
    again = write_report(tmp_path / "elsewhere", ["alexnet", "resnet"], name="again.html")
    assert again == page
    assert str(cohort) not in page
    assert str(tmp_path) not in page


def test_a_users_own_settings_of_matplotlib_change_nothing(cohort, page):
    with mpl.rc_context({"font.size": 13, "lines.linewidth": 5, "axes.grid": True, "svg.hashsalt": "mine"}):
        assert write_report(cohort, ["alexnet", "resnet"], name="styled.html") == page


def test_a_case_is_the_only_identifier(page):
    assert "C00" in page
    assert re.findall(r"P\d\d\b", words(page)) == []


def test_a_simulated_cohort_and_weights_that_are_not_imagenet_are_named_first(cohort, page):
    assert "simulated cohort" in Parsed(page).texts["title"][0]
    assert "simulated cohort" in Parsed(page).texts["h1"][0]
    assert "no number here has a clinical meaning" in words(page)
    assert re.search(r"AUC with AlexNet \(procedural weights\): DM [0-9.]+, DBT [0-9.]+, DM-DBT [0-9.]+", words(page))
    assert "Not ImageNet. Procedural weights, from a short training on generated shapes: AlexNet" in words(page)
    assert "ImageNet weights:" not in words(page)
    imagenet = {"source": "imagenet", "weights": "AlexNet_Weights.IMAGENET1K_V1", "sha256": "cd" * 32}
    content = tables_content(
        ["alexnet", "resnet"], simulated=False, weights=dict.fromkeys(("alexnet", "resnet"), imagenet)
    )
    (folder := cohort.parent / "own").mkdir()
    shutil.copytree(cohort, folder, dirs_exist_ok=True)
    write_json(folder / "tables.json", content)
    state(folder, Statement(False, "a private clinic", "a private rule"))
    own = write_report(folder, ["alexnet", "resnet"])
    assert "simulated" not in words(own).lower()
    assert "Not ImageNet" not in own
    assert "AUC with AlexNet (ImageNet weights): DM" in words(own)
    assert "IMAGENET1K_V1" in own
    assert "private" not in own


def test_a_cohort_that_states_nothing_is_called_neither_real_nor_simulated(cohort):
    shutil.copytree(cohort, folder := cohort.parent / "unstated", dirs_exist_ok=True)
    state(folder, Statement())
    text = write_report(folder, ["alexnet", "resnet"])
    for tag in ("title", "h1"):
        assert Parsed(text).texts[tag][0].endswith(": cohort not stated to be real or simulated")
    assert "Cohort not stated to be real or simulated. Its folder has no cohort.json" in words(text)
    assert "own files, not stated to be real or simulated: 12 pairs" in words(text)
    assert "imulated cohort" not in words(text)
    assert "Simulation contrast" not in words(text)
    assert "pixels of a slice are taken as square" in words(text)


def test_the_settings_of_the_phantom_are_named_only_of_the_cohort_that_they_made(cohort, page):
    assert "Simulation contrast of the findings" in words(page)
    assert "taken as square" not in words(page)
    shutil.copytree(cohort, folder := cohort.parent / "simulated", dirs_exist_ok=True)
    state(folder, Statement(True, "T-SYNTH", "A lesion is present or absent."))
    other = words(write_report(folder, ["alexnet", "resnet"]))
    assert "Simulated cohort. Breasts and findings are computed" in other
    assert "Simulation T-SYNTH. Labels: A lesion is present or absent." in other
    assert "contrast of the findings" not in other
    assert "pixels of a slice are taken as square" in other
    state(folder, replace(OF_PHANTOM, source=phantom_source(seed=1, contrast=0)))
    moved = words(write_report(folder, ["alexnet", "resnet"]))
    assert "Simulation dmdbt phantom, seed 1, contrast 0. Labels: drawn" in moved
    assert "taken as square" not in moved


def test_of_mixed_weights_the_page_names_either_kind_and_where_those_of_imagenet_are_from(cohort):
    imagenet = {
        "source": "imagenet",
        "weights": "MobileNet_V2_Weights.IMAGENET1K_V1",
        "checkpoint": "mobilenet_v2-b0353104.pth",
        "checkpoint_sha256": "b0353104" * 8,
        "found_in": "package p 1.0.1",
        "licence": "BSD-3-Clause",
        "package_licence": "MIT",
    }
    weights = {"alexnet": PROVENANCE, "resnet": imagenet}
    shutil.copytree(cohort, folder := cohort.parent / "mixed", dirs_exist_ok=True)
    write_json(folder / "tables.json", tables_content(["alexnet", "resnet"], weights=weights))
    shown = words(write_report(folder, ["alexnet", "resnet"]))
    assert "Not all with ImageNet weights. ImageNet weights: ResNet. Procedural weights, from a short" in shown
    source = "file mobilenet_v2-b0353104.pth; SHA-256 b0353104b035; licence BSD-3-Clause; from the package p 1.0.1"
    assert f"ImageNet (MobileNet_V2_Weights.IMAGENET1K_V1); {source}; licence of the package MIT" in shown


def test_a_cohort_without_findings_is_called_a_negative_control(cohort, page):
    assert "Negative control" not in page
    shutil.copytree(cohort, folder := cohort.parent / "control", dirs_exist_ok=True)
    state(folder, replace(OF_PHANTOM, source=phantom_source(seed=SECTIONS["phantom"].seed, contrast=0)))
    blank = params.Phantom(**{**vars(SECTIONS["phantom"]), "contrast": 0.0})
    text = words(write_report(folder, phantom=blank))
    assert "Negative control" in text
    assert "0 (0 inserts none)" in text


def test_claims_have_both_values_the_difference_and_what_the_paper_prints(page):
    text = words(page)
    assert "0.900 DM-DBT 0.800 3D-T2-Alex +0.100 (\N{MINUS SIGN}0.050 to 0.250) &lt; 0.001 1.000 0.95, 0.72" in text
    assert "AlexNet 1 DM-DBT is better than the baseline 3D-T2-Alex AUC; DeLong, patients as clusters not" in text
    assert "supported 0; not supported 1; contradicted 0" in text
    assert "0.812 (0.700 to 0.900)" in text


def test_the_spread_over_the_backbones_names_them_and_their_weights(page):
    text = words(page)
    assert "AlexNet, ResNet weights: procedural DM-DBT 0.750 0.812 0.812 (0.700 to 0.900) 12 0.94 to 0.95" in text


def test_the_page_shows_what_the_stage_tables_writes_also_without_baselines(cohort, tmp_path):
    shutil.copytree(cohort, tmp_path, dirs_exist_ok=True)
    tables.main(
        tmp_path / "cohort.json",
        predictions=tmp_path / "predictions",
        baselines=tmp_path / "none",
        quarantine=tmp_path / "quarantine.csv",
        output=tmp_path / "tables.json",
        markdown=tmp_path / "tables.md",
        latex=tmp_path / "tables.tex",
        backbones=params.Backbones(["alexnet", "resnet"], 18, "procedural"),
        compared=replace(params.read(params.Baselines, ROOT / "params.yaml"), names=["2d_t3_alex"]),
        evaluation=params.Evaluation(draws=100, seed=0),
    )
    content = json.loads((tmp_path / "tables.json").read_text())
    page = write_report(tmp_path, ["alexnet", "resnet"])
    text = words(page)
    assert len(re.findall('<g id="forest-[a-z]+-figure', page)) == 2
    assert "AlexNet 1 DM-DBT is better than DM AUC; DeLong" in text
    assert "ResNet 12 DM-DBT is better than DM AUC; DeLong" in text
    assert "DBT is more confident than DM AC; patient bootstrap" in text
    for claim in content["claims"]:
        assert f"{number(claim['first_value'])} " in text
        assert claim["second_value"] is None or f"{signed(claim['difference'])} (" in text
    assert "2d_t3_alex.csv is missing" in text
    assert text.count("here, the paper's way") == 2 * 3 == page.count("<td>here</td>")
    assert "100 times, so that views of one patient move together" in text


def test_what_is_not_defined_has_its_reason_on_the_page_and_no_figure(cohort):
    write_json(cohort / "undefined.json", tables_content(["alexnet"], defined=False, baselines=False))
    (folder := cohort.parent / "undefined").mkdir()
    shutil.copytree(cohort, folder, dirs_exist_ok=True)
    shutil.copyfile(cohort / "undefined.json", folder / "tables.json")
    text = write_report(folder)
    assert "not defined: one class &lt;only&gt;" in text
    assert "No difference is defined on these pairs" in text
    assert "No model ran." in text
    assert re.findall(r"\b(?:nan|None)\b", words(text)) == []


def test_text_of_a_cohort_cannot_become_markup(cohort, tmp_path):
    shutil.copytree(cohort, tmp_path, dirs_exist_ok=True)
    problem = Problem("C99", "dm", "DM-NOT-DICOM", "expected <b>DICOM</b> & found none", "Mend it.")
    write_quarantine(tmp_path / "quarantine.csv", [problem])
    text = write_report(tmp_path)
    assert "&lt;b&gt;DICOM&lt;/b&gt; &amp; found none" in text
    assert "No case is in quarantine" not in text


@pytest.mark.parametrize(
    ("lacking", "sentence"),
    [
        (lambda _: ["dbt"], "This pair has no volume."),
        (lambda _: ["dm"], "This pair has no mammogram."),
        (lambda n: ["dbt"] if n == 0 else ["dm"] if n == 1 else [], ""),
    ],
    ids=["mammograms alone", "volumes alone", "some complete pairs"],
)
def test_pairs_that_lack_an_image_are_shown_without_it(tmp_path, lacking, sentence):
    cases = write_cohort(tmp_path, 5, lacking)
    run_image_stages(tmp_path)
    write_predictions(tmp_path, cases, ["alexnet"], folds=[0])
    write_json(tmp_path / "tables.json", tables_content(["alexnet"]))
    text = write_report(tmp_path)
    assert sentence in text
    assert ("data:image/jpeg" in text) is True
    assert re.findall(r"\b(?:nan|None)\b", words(text)) == []


def test_one_class_alone_has_no_curve_and_says_why(tmp_path):
    cases = [case for case in write_cohort(tmp_path, 4) if case.label is Label.BENIGN]
    write_table(tmp_path / "cohort/cases.csv", cases)
    run_image_stages(tmp_path)
    write_predictions(tmp_path, cases, ["alexnet"], folds=[0])
    write_json(tmp_path / "tables.json", tables_content(["alexnet"], defined=False))
    text = write_report(tmp_path)
    assert "ROC and precision-recall curves need tested pairs of both classes." in text
    assert 'id="roc-alexnet' not in text


def test_tables_of_another_version_are_refused(cohort, tmp_path):
    shutil.copytree(cohort, tmp_path, dirs_exist_ok=True)
    write_json(tmp_path / "tables.json", tables_content(["alexnet"], version=1))
    with pytest.raises(IntegrityError, match="E-TABLES-FORMAT .*expected format dmdbt tables 2, found dmdbt tables 1"):
        write_report(tmp_path)


def test_a_history_without_its_columns_is_refused(cohort, tmp_path):
    shutil.copytree(cohort, tmp_path, dirs_exist_ok=True)
    (tmp_path / "losses/alexnet.csv").write_text("fold,head,epoch\n")
    with pytest.raises(IntegrityError, match="E-HISTORY-COLUMNS .*found none named loss"):
        write_report(tmp_path)


def test_the_pairs_shown_are_those_of_the_rules(cohort):
    with (cohort / "predictions/alexnet.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = read_predictions(cohort / "predictions/alexnet.csv")
    for label in Label:
        of_class = sorted(float(row["p_ensemble"]) for row in rows if row["label"] == label)
        (chosen,) = (row for row in rows if row["case_id"] == median_pairs(table)[label])
        assert float(chosen["p_ensemble"]) == of_class[len(of_class) // 2]
    wrong = [row for row in rows if row["decision_ensemble"] != row["label"]]
    expected = sorted(wrong, key=lambda r: (-abs(float(r["p_ensemble"]) - (r["label"] == "malignant")), r["case_id"]))
    assert mistakes(table) == [row["case_id"] for row in expected]
    flipped = table.assign(p_ensemble=1 - table["p_ensemble"])
    assert best_backbone({"flipped": flipped, "alexnet": table}) == "alexnet"


def test_two_figures_of_a_page_share_no_identifier_and_have_the_colors_of_its_style():
    figure = Figure()
    figure.add_subplot().plot([0, 1], [0, 1], color=INK, marker="o")
    one, two = (inline_svg(figure, name, alternative='a "quoted" < text') for name in ("one", "two"))
    assert one.replace("one-", "two-") == two
    assert set(re.findall(r'id="([^"]+)', one)) & set(re.findall(r'id="([^"]+)', two)) == set()
    assert "var(--ink)" in one
    assert "http" not in one
    assert Parsed(one).all("svg")[0]["aria-label"] == 'a "quoted" < text'


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.system
def test_a_browser_shows_everything_from_disk_and_asks_for_nothing(cohort, page, width, scheme):
    assert page
    messages, addresses = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.on("request", lambda request: addresses.append(request.url))
        tab.goto((cohort / "report.html").as_uri())
        shown = tab.evaluate("[...document.images].map(image => image.naturalWidth * image.clientWidth)")
        page_width, window = tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        ground, ink = tab.evaluate(
            "(style => [style.backgroundColor, style.color])(getComputedStyle(document.documentElement))"
        )
        browser.close()
    assert messages == []
    assert [address for address in addresses if not address.startswith(("file:", "data:"))] == []
    assert len(shown) > 10
    assert all(shown)
    assert page_width <= window == width
    assert (brightness(ground) > brightness(ink)) is (scheme == "light")


def brightness(color):
    return sum(map(int, re.findall(r"\d+", color)[:3]))
