"""Numbers and sentences as a page, a sheet or a table of cases shows them."""

import re

from dmdbt.evaluation import classifier_name
from dmdbt.terms import FLAGS, Laterality

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
MEANING = "A probability is a number of a model, not the risk of this patient; a heat map does not outline a finding."
EVIDENCE = (
    "Evidence of a slice: what it has under the Grad-CAM map of the dynamic image, not the occlusion map, relative to "
    "an even map. On simulated findings the slices with most of it are hardly nearer to the finding than slices at "
    "random."
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


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a true minus sign; a dash where there is none."""
    return _DASH if value is None else f"{value:.{digits}f}".replace("-", _MINUS)


def probability(value: float | None) -> str:
    """Return a probability; one next to 0 or 1 is given by a bound, because no classifier is certain."""
    if value is not None and not _SMALLEST_P <= value <= 1 - _SMALLEST_P:
        return f"<{_SPACE}{_SMALLEST_P}" if value < _SMALLEST_P else f">{_SPACE}{1 - _SMALLEST_P}"
    return number(value)


def percent(share: float) -> str:
    """Return a share of 1 in percent, with one digit where it is below 10."""
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f} %"


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
