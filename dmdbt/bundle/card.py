"""The model card of a bundle, ``README.md``."""

from collections.abc import Iterator

from dmdbt.bundle.model import Model, TrainingCohort

_NAMES = {"dm": "DM", "dbt": "DBT", "dm_dbt": "DM-DBT", "ensemble": "ensemble"}
_RULES = {"youden": "Youden", "sensitivity_90": "sensitivity 90 %"}
_AXES = ("slices", "rows", "columns")
_SLICE_ORDERS = {
    "as_stored": "are taken as they are stored",
    "from_paddle": "are read from the compression paddle, where their positions tell it",
    "from_detector": "are read from the detector, where their positions tell it",
}
_WEIGHTS = ("source", "weights", "licence", "sha256")
_PAPER = (
    "G. Liang, X. Wang, Y. Zhang, X. Xing, H. Blanton, T. Salem, N. Jacobs: Joint 2D-3D Breast Cancer Classification. "
    "IEEE International Conference on Bioinformatics and Biomedicine (BIBM) 2019, arXiv 2002.12392."
)


def model_card(model: Model) -> str:
    """Return a model card in Markdown, made of nothing but `model`."""
    sections = {
        "Use": _use(model),
        "Input": _input(model),
        "Training cohort": _cohort(model.training),
        "Measured on patients that the model had not seen": _metrics(model),
        "Thresholds and calibration": _thresholds(model),
        "Limits": _limits(model.training),
        "Origin": _origin(model),
    }
    lines = [
        f"# Breast cancer classification from a mammogram and a tomosynthesis volume: {model.line}",
        f"\n**{model.notice}** {_simulated(model.training)}",
    ]
    for title, content in sections.items():
        lines += [f"\n## {title}\n", *content]
    return "\n".join(lines) + "\n"


def _simulated(training: TrainingCohort) -> str:
    return {
        True: "**The training cohort was simulated: the numbers below say nothing about patients.**",
        False: "The cohort states that it is real.",
        None: "Nobody has stated whether the training cohort is real or simulated.",
    }[training.simulated]


def _use(model: Model) -> Iterator[str]:
    yield "```"
    yield "dmdbt predict --model FOLDER --dm MAMMOGRAM.dcm --dbt VOLUME.avi --output OUT"
    yield "dmdbt predict --model FOLDER --cohort COHORT --output OUT"
    yield "```\n"
    yield "* Intended: research on the classification of breast lesions, benign against malignant."
    yield "* Out of scope: diagnosis, screening, triage or any other decision about a patient; to find or outline a"
    yield "  lesion; breasts without one; images unlike those of the training, of which a prediction warns."
    yield "* A probability is what the heads say of a pair that looks like those of their training, where"
    yield f"  {model.training.malignant_pairs} of {model.training.pairs} pairs were malignant. It is not the risk of a"
    yield "  patient: that depends on how many patients have cancer."


def _input(model: Model) -> Iterator[str]:
    reading = model.reading
    yield "* One view of one breast. If one of the two images is missing, only the head of the other speaks."
    yield f"* DM: DICOM For Presentation, gray PNG or TIFF; up to {reading.dm_megapixels:g} megapixels."
    yield "* DBT: AVI, multi-frame DICOM, a folder of slices, or MetaImage;"
    yield f"  up to {reading.slices} slices of {reading.slice_megapixels:g} megapixels."
    yield f"* Slices {_SLICE_ORDERS[reading.slice_order]}. The result depends on which end comes first."


def _cohort(training: TrainingCohort) -> Iterator[str]:
    yield f"* Source: {training.source or 'not stated'}"
    yield f"* Labels: {training.label_rule or 'not stated'}"
    yield f"* {training.pairs} pairs of {training.patients} patients; views: {_counts(training.views)}"
    for modality in (m for m in _NAMES if m in training.ranges):
        ranges = training.ranges[modality]
        sizes = ", ".join("{} to {} {}".format(*ranges[axis], axis) for axis in _AXES if axis in ranges)
        yield f"* {_NAMES[modality]}: {sizes}; {_counts(training.kinds.get(modality, {}))}"
        if devices := training.devices.get(modality):
            yield f"* {_NAMES[modality]}, devices: {_counts(devices)}"
    ends = ", ".join(f"{number} begin at the {end}" for end, number in training.slice_ends.items())
    yield f"* First slice: {ends or 'no volume tells at which end it begins'}"


def _metrics(model: Model) -> Iterator[str]:
    yield "Each patient was tested by models that were trained on others. Intervals of 95 %: patients drawn with"
    yield "replacement.\n"
    yield "| backbone | classifier | pairs (malignant) | AUC | Brier score | calibration error |"
    yield "| --- | --- | ---: | --- | --- | ---: |"
    for name, backbone in model.backbones.items():
        for classifier in (c for c in _NAMES if c in backbone.metrics):
            found = backbone.metrics[classifier]
            auc, brier = (
                _interval(found.get(key), found.get(f"{key}_low"), found.get(f"{key}_high")) for key in ("auc", "brier")
            )
            pairs = f"{found.get('n', '-')} ({found.get('n_malignant', '-')})"
            yield f"| {name} | {_NAMES[classifier]} | {pairs} | {auc} | {brier} | {_number(found.get('ece'))} |"


def _thresholds(model: Model) -> Iterator[str]:
    yield "Thresholds are those of the mean over backbones, chosen on the tests above. Youden: the largest sensitivity"
    yield "+ specificity. Sensitivity 90 %: the highest that finds 90 % of the malignant pairs. Sensitivity and"
    yield "specificity are measured with the threshold of each fold chosen on the other folds.\n"
    yield "| classifier | rule | threshold | sensitivity | specificity |"
    yield "| --- | --- | ---: | ---: | ---: |"
    known = {c: model.operating_points[c] for c in _NAMES if c in model.operating_points}
    for classifier, points in known.items():
        for rule in _RULES:
            of_rule = points.thresholds[rule], points.sensitivity[rule], points.specificity[rule]
            yield f"| {_NAMES[classifier]} | {_RULES[rule]} | {' | '.join(map(_number, of_rule))} |"
    lines = [f"{_NAMES[c]} {_number(points.intercept)} and {_number(points.slope)}" for c, points in known.items()]
    yield "\nCalibrated probabilities come from a logistic regression of the label on the log odds, on the same tests."
    yield f"Intercept and slope (0 and 1 change nothing): {'; '.join(lines)}."


def _limits(training: TrainingCohort) -> Iterator[str]:
    yield f"* One cohort, of {training.patients} patients, trained and tested it. There was no external validation."
    if training.simulated:
        yield "* Simulated images lack what real ones show: other devices, other findings, implants, motion."
    yield "* Nothing was measured by age, density, ethnicity, device or kind of lesion."
    yield "* Heat maps and slices with most evidence show what the heads used. They outline no finding."


def _origin(model: Model) -> Iterator[str]:
    yield f"* Method: {_PAPER}"
    for name, backbone in model.backbones.items():
        facts = ", ".join(f"{key} {backbone.weights[key]}" for key in _WEIGHTS if key in backbone.weights)
        yield f"* Weights of {name} ({backbone.architecture}, up to {backbone.layer}): {facts}"
    versions = ", ".join(f"{name} {number}" for name, number in sorted(model.libraries.items()))
    yield f"* Licence: {model.licence}"
    yield f"* dmdbt {model.dmdbt}; {versions}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} x {name}" for name, number in counts.items())


def _interval(value: object, low: object, high: object) -> str:
    return f"{_number(value)} ({_number(low)} to {_number(high)})" if isinstance(value, float) else "-"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float | int) else "-"
