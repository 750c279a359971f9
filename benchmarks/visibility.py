"""Ask how much of the label simple contrasts see, without any backbone.

The largest contrast of each size, and a logistic regression tested on every fold. Run after ``dvc repro``:
``python -m benchmarks.visibility``.
"""

from pathlib import Path

from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dmdbt.cohort import read_folds, read_table
from dmdbt.imaging import framed, read_gray

_INPUT = 160  # rows and columns, as AlexNet sees them in the demo
_SIZES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)  # of a bright or dark spot, in pixels


def main() -> None:
    """Print the pooled AUC of mammograms and of dynamic images."""
    cases = read_table(Path("data/cases.csv"))
    targets = [case.label.target for case in cases]
    folds = read_folds(Path("data/split.csv"), cases)
    for folder in ("mammograms", "dynamic"):
        contrasts = [_contrasts(Path("data") / folder / f"{case.case_id}.png") for case in cases]
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        scores = cross_val_predict(
            classifier, contrasts, targets, groups=folds, cv=LeaveOneGroupOut(), method="decision_function"
        )
        print(f"{folder}: AUC {roc_auc_score(targets, scores):.3f} of {len(cases)} pairs")


def _contrasts(path: Path) -> list[float]:
    """Largest bright and dark difference of Gaussians of each size in the box of the breast."""
    image = read_gray(path)
    gray = framed(image[None], rows=_INPUT, columns=_INPUT, crop=True)[0]
    differences = [gaussian_filter(gray, size) - gaussian_filter(gray, 1.6 * size) for size in _SIZES]
    return [float(extreme) for d in differences for extreme in (d.max(), -d.min())]


if __name__ == "__main__":
    main()
