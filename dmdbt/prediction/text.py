"""A prediction on the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from dmdbt.evaluation import CLASSIFIERS, classifier_name
from dmdbt.prediction.result import NOTICE

_RULES = {"half": "0.5 or vote", "youden": "Youden", "sensitivity_90": "90 % sens."}
MEANING = (
    "p is what the heads say of a pair that looks like those of their training, not the risk of a patient: "
    "that depends on how many patients have cancer."
)


def case_text(prediction: Mapping[str, Any]) -> str:
    """Return the result of one pair as its JSON file has it: a table of classifiers, then what to keep in mind."""
    name = " ".join(filter(None, (prediction["case_id"], prediction["laterality"], prediction["view"])))
    folds = ", ".join(map(str, prediction["folds"]))
    plural = "s" * (len(prediction["folds"]) > 1)
    lines = [f"{name}: probability of malignancy, model output (fold{plural} {folds})"]
    header = ["", "p", "range", "calibrated", *_RULES.values()]
    rows = [header, *(_cells(prediction, classifier) for classifier in CLASSIFIERS)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines += ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(f"  votes for malignant: {100 * prediction['vote_fraction']:.0f} %")
    if len(prediction["backbones"]) > 1:
        shares = (f"{name} {result['p']['ensemble']:.3f}" for name, result in prediction["backbones"].items())
        lines.append(f"  ensemble by backbone: {', '.join(shares)}")
    if prediction["label"]:
        lines.append(f"  label of the table: {prediction['label']}")
    if prediction["flags"]:
        lines.append(f"  flags: {', '.join(prediction['flags'])}")
    return "\n".join([*lines, *(f"  warning: {warning}" for warning in prediction["warnings"])])


def case_line(prediction: Mapping[str, Any]) -> str:
    """Return the result of one pair of many in one line."""
    numbers = (f"{classifier_name(c)} {_number(prediction['p'][c])}" for c in CLASSIFIERS)
    decision = prediction["decisions"]["half"]["ensemble"]
    number = len(prediction["warnings"])
    more = [f"{number} warning{'s' * (number > 1)}"] if number else []
    return ", ".join([f"{prediction['case_id']}: {decision}", *numbers, *more])


def closing_lines(simulated: bool | None) -> Iterator[str]:
    """Yield what belongs below every result."""
    yield MEANING
    kinds = {True: "The training cohort was simulated.", None: "Nobody has stated whether the training cohort is real."}
    yield " ".join(filter(None, (NOTICE, kinds.get(simulated, ""))))


def _cells(prediction: Mapping[str, Any], classifier: str) -> list[str]:
    p, low, high, calibrated = (prediction[key][classifier] for key in ("p", "lowest", "highest", "calibrated"))
    if p is None:
        return [classifier_name(classifier), "-", "", "", *("" for _ in _RULES)]
    decisions = []
    for rule in _RULES:
        threshold = prediction["thresholds"].get(rule, {}).get(classifier)
        decision = prediction["decisions"].get(rule, {}).get(classifier, "")
        decisions.append(f"{decision} (from {threshold:.3f})" if threshold is not None and rule != "half" else decision)
    is_one = len(prediction["folds"]) * len(prediction["backbones"]) == 1
    spread = "one fold" if is_one else f"{low:.3f} to {high:.3f}"
    return [classifier_name(classifier), _number(p), spread, _number(calibrated), *decisions]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
