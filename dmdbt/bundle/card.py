"""The model card of a bundle, ``README.md``."""

from dmdbt.bundle.model import Model

_NAMES = {"dm": "DM", "dbt": "DBT", "dm_dbt": "DM-DBT", "ensemble": "ensemble"}
_RULES = {"youden": "Youden", "sensitivity_90": "sensitivity 90 %"}


def model_card(model: Model) -> str:
    """Return a model card in Markdown, made of nothing but `model`."""
    training = model.training
    simulated = {
        True: "**The training cohort was simulated: the numbers below say nothing about patients.**",
        False: "The cohort states that it is real.",
        None: "Nobody has stated whether the training cohort is real or simulated.",
    }[training.simulated]
    lines = [
        f"# Breast cancer classification from a mammogram and a tomosynthesis volume: {model.line}",
        "",
        f"**{model.notice}** {simulated}",
        "",
        "## Use",
        "",
        "```",
        "dmdbt predict --model FOLDER --dm MAMMOGRAM.dcm --dbt VOLUME.avi --output OUT",
        "dmdbt predict --model FOLDER --cohort COHORT --output OUT",
        "```",
        "",
        "A probability is what the heads of the training cohort would say of a pair that looks like theirs. It is not",
        "the probability that a patient has cancer: that depends on how many do, and here "
        f"{training.malignant_pairs} of {training.pairs} pairs were malignant.",
        "",
        "## Training cohort",
        "",
        f"* Source: {training.source or 'not stated'}",
        f"* Labels: {training.label_rule or 'not stated'}",
        f"* {training.pairs} pairs of {training.patients} patients; views: {_counts(training.views)}",
    ]
    for modality, ranges in training.ranges.items():
        sizes = ", ".join(f"{low} to {high} {axis}" for axis, (low, high) in ranges.items())
        lines.append(f"* {_NAMES[modality]}: {sizes}; {_counts(training.kinds[modality])}")
        if training.devices[modality]:
            lines.append(f"* {_NAMES[modality]}, devices: {_counts(training.devices[modality])}")
    lines += [
        "",
        "## Measured on patients that the model had not seen",
        "",
        "AUC and Brier score with 95 % intervals (patients drawn with replacement).",
        "",
        "| backbone | classifier | AUC | Brier score |",
        "| --- | --- | --- | --- |",
    ]
    for name, backbone in model.backbones.items():
        for classifier, metrics in backbone.metrics.items():
            cells = [
                _interval(metrics.get(key), metrics.get(f"{key}_low"), metrics.get(f"{key}_high"))
                for key in ("auc", "brier")
            ]
            lines.append(f"| {name} | {_NAMES[classifier]} | {' | '.join(cells)} |")
    lines += [
        "",
        "Thresholds of the mean over backbones, chosen on these tests; sensitivity and specificity with the threshold",
        "of each fold chosen on the other folds.",
        "",
        "| classifier | rule | threshold | sensitivity | specificity |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for classifier, points in model.operating_points.items():
        for rule, threshold in points.thresholds.items():
            cells = [_number(value) for value in (threshold, points.sensitivity[rule], points.specificity[rule])]
            lines.append(f"| {_NAMES[classifier]} | {_RULES[rule]} | {' | '.join(cells)} |")
    lines += ["", "## Weights", ""]
    for name, backbone in model.backbones.items():
        facts = ", ".join(f"{key} {value}" for key, value in sorted(backbone.weights.items()))
        lines.append(f"* {name} ({backbone.architecture}, up to {backbone.layer}): {facts}")
    versions = ", ".join(f"{name} {number}" for name, number in model.libraries.items())
    lines += [
        "",
        "## Licence and versions",
        "",
        f"* Licence: {model.licence}",
        f"* dmdbt {model.dmdbt}; {versions}",
        "",
    ]
    return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} x {name}" for name, number in counts.items())


def _interval(value: object, low: object, high: object) -> str:
    return f"{_number(value)} ({_number(low)} to {_number(high)})" if isinstance(value, float) else "-"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float | int) else "-"
