"""Numbers and sentences as a page, a sheet or a table of cases shows them."""

import re

from dmdbt.evaluation import CLASSIFIERS, classifier_name
from dmdbt.prediction.result import Prediction
from dmdbt.terms import FLAGS, Head, Laterality

ORDER = sorted(CLASSIFIERS, key=lambda name: name != "ensemble")  # in which they are shown: the ensemble first
HALF = "half"
MAJORITY = "by majority"  # how the ensemble decides under the rule HALF: not by its probability
RULES = {HALF: "One half", "youden": "Youden's threshold", "sensitivity_90": "90 % sensitivity"}
METHODS = {"grad_cam": "Grad-CAM", "occlusion": "Occlusion"}
SCALES = {
    "grad_cam": "Grad-CAM, in units of the score: orange where what speaks for malignancy is strong.",
    "occlusion": "Occlusion: by how much the probability of malignancy falls where a cell and its neighbors are "
    "hidden (orange); blue where it rises.",
}
PROBABILITY = "Probability of malignancy (model output)"
LETTERS = (
    "Letters at the edges: the header's Patient Orientation (L left, R right, A anterior, P posterior, H head, F "
    "foot). In the corner: side and view."
)
ONE_SCALE = "All images have the same scale."
MEANING = "A probability is a number of a model, not the risk of this patient; a heat map does not outline a finding."
EVIDENCE = (
    "Evidence of a slice: what it has under the Grad-CAM map (not the occlusion map) of the dynamic image, relative to "
    "an even map; slices that are named are at least a tenth of the volume apart. On simulated findings they are "
    "hardly nearer to the finding than slices at random."
)
NO_EVIDENCE = "No slice stands out: where the slices differ, the Grad-CAM map is 0 or nearly 0."
_SIDES: dict[str, str] = {Laterality.LEFT: "Left breast", Laterality.RIGHT: "Right breast"}
_TRAINED = {
    True: "Trained on simulated patients.",
    False: "Trained on real patients, as its cohort states.",
    None: "Nobody has stated whether the training cohort is real.",
}
_OPPOSITE = str.maketrans("APLRHF", "PARLFH")
_DASH, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_SPACE = "\N{NO-BREAK SPACE}"
_SMALLEST_P = 0.001
_SAME = 1e-6


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a true minus sign; a dash where there is none."""
    return _DASH if value is None else f"{value:.{digits}f}".replace("-", _MINUS)


def short(value: float) -> str:
    """Return a number to three significant digits, with a true minus sign."""
    return f"{value:.3g}".replace("-", _MINUS)


def probability(value: float | None) -> str:
    """Return a probability; one next to 0 or 1 is given by a bound, because no classifier is certain."""
    if value is not None and not _SMALLEST_P <= value <= 1 - _SMALLEST_P:
        return f"<{_SPACE}{_SMALLEST_P}" if value < _SMALLEST_P else f">{_SPACE}{1 - _SMALLEST_P}"
    return number(value)


def percent(share: float) -> str:
    """Return a share of 1 in percent, with one digit where it is below 10 but not 0."""
    return f"{100 * share:.{1 if 0 < share < 0.0995 else 0}f} %"


def counted(n: int, noun: str) -> str:
    """Return a number of things: "1 warning", "2 warnings"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def averaged(prediction: Prediction) -> str:
    """Say over what a probability is the mean: "folds and backbones", as far as there are several; else nothing."""
    several = {"folds": len(prediction.folds), "backbones": len(prediction.backbones)}
    return " and ".join(name for name, n in several.items() if n > 1)


def only_fold(prediction: Prediction) -> str:
    """Name the fold if there is only one: "fold 3 only"; else nothing."""
    return f"fold {prediction.folds[0]} only" if len(prediction.folds) == 1 else ""


def spread(prediction: Prediction) -> str:
    """Return the range of the ensemble's probability, or the fold that is the only one; nothing if all are equal."""
    low, high = (of.get("ensemble") for of in (prediction.lowest, prediction.highest))
    differs = low != high and averaged(prediction)
    found = f"{probability(low)} to {probability(high)} over {averaged(prediction)}" if differs else ""
    return ", ".join(filter(None, (found, only_fold(prediction))))


def votes(prediction: Prediction) -> str:
    """Return how many heads vote for malignant, of all backbones; the share where their weights differ."""
    heads = [of.decisions.get(head) for of in prediction.backbones.values() for head in Head]
    known = list(filter(None, heads))
    n = known.count("malignant")
    if known and abs(n / len(known) - prediction.vote_fraction) < _SAME:
        return f"{n} of {counted(len(known), 'vote')} for malignant"
    return f"{percent(prediction.vote_fraction)} of the votes for malignant"


def accuracy(sensitivity: float | None, specificity: float | None) -> str:
    """Return what is known of sensitivity and specificity, in few letters."""
    shares = {"sens.": sensitivity, "spec.": specificity}
    said = (f"{name} {percent(share)}" for name, share in shares.items() if share is not None)
    return ", ".join(text.replace(" ", _SPACE) for text in said)


def heading(classifier: str) -> str:
    """Return the name of a classifier, as it begins a row or a column."""
    return classifier_name(classifier).replace("ensemble", "Ensemble")


def trained_on(simulated: bool | None) -> str:
    """Return the sentence on the training cohort that every output carries."""
    return _TRAINED[simulated]


def described(laterality: str, view: str) -> str:
    """Return the side and the view in words, as far as they are known."""
    return ", ".join(filter(None, (_SIDES.get(laterality, laterality), view and f"{view} view")))


def edges(orientation: str) -> dict[str, str]:
    r"""Return the letters at the ``left``, ``right``, ``top`` and ``bottom`` of an image, of an orientation ``A\R``."""
    right, _, bottom = orientation.partition("\\")
    letters = {"left": right.translate(_OPPOSITE), "right": right, "top": bottom.translate(_OPPOSITE), "bottom": bottom}
    return {edge: letter for edge, letter in letters.items() if letter}


def flag_meaning(flag: str) -> str:
    """Return what a flag means, whatever image its name begins with; nothing for one that is not known."""
    return FLAGS.get(re.sub("^(dm|dbt|dynamic-image)-", "", flag.replace("_", "-")), "")
