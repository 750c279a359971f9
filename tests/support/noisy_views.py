"""A case as a page, a sheet or a DICOM object shows it, without a trained model: every number is made up."""

from dataclasses import replace

import numpy as np

from dmdbt.attention.heat import HeatMap
from dmdbt.prediction.result import BackboneResult, Prediction
from dmdbt.terms import Head, Modality
from dmdbt.viewer.view import CaseView, ShownImage

P = {"dm": 0.8125, "dbt": 0.2345678901, "dm_dbt": 0.640625, "ensemble": 0.7}
THRESHOLDS = {"half": 0.5, "youden": 0.37, "sensitivity_90": 0.21}


def prediction(*, present=(Modality.DM, Modality.DBT), **changes):
    """The result of a pair, or of one image: a head that lacks an image has no probability."""
    able = [head for head in Head if set(head.modalities) <= set(present)]
    p = {name: value if name in able or name == "ensemble" else None for name, value in P.items()}
    known = {name: value for name, value in p.items() if value is not None}

    def each(change):
        return {name: None if value is None else change(value) for name, value in p.items()}

    def decide(threshold):
        return {name: "malignant" if value >= threshold else "benign" for name, value in known.items()}

    decisions = {
        rule: decide(threshold) | dict.fromkeys(p.keys() - known, "") for rule, threshold in THRESHOLDS.items()
    }
    folds = {fold: {head: p[head] for head in Head} for fold in (0, 2, 3)}
    result = Prediction(
        case_id="P0001-L-CC",
        patient_id="P0001",
        laterality="L",
        view="CC",
        label="malignant",
        p=p,
        lowest=each(lambda value: value - 0.125),
        highest=each(lambda value: value + 0.125),
        calibrated=each(lambda value: value / 2),
        thresholds={rule: dict.fromkeys(p, threshold) for rule, threshold in THRESHOLDS.items()},
        decisions=decisions,
        vote_fraction=0.75,
        folds=list(folds),
        backbones={"alexnet": BackboneResult(folds, p, 0.75, decisions["half"])},
        flags=["dm-few-grays", "dbt-slice-order-unstated"],
        warnings=["The patient was seen in training: only folds that were not trained on her count."],
    )
    return replace(result, **changes)


def case_view(*, present=(Modality.DM, Modality.DBT), n_slices=7, shape=(24, 20), seed=0, **changes):
    """A case with noise as its images; `changes` are those of the view, or of its prediction."""
    rng = np.random.default_rng(seed)
    has_dm, has_dbt = Modality.DM in present, Modality.DBT in present
    heads = [head for head in Head if set(head.modalities) <= set(present)]
    box = (2, shape[0] - 2, 1, shape[1])
    of_view = {name: value for name, value in changes.items() if name in CaseView.__dataclass_fields__}
    of_prediction = {name: value for name, value in changes.items() if name not in of_view}

    def image(dtype):
        return ShownImage(rng.integers(0, np.iinfo(dtype).max, shape).astype(dtype), box)

    view = CaseView(
        prediction=prediction(present=present, **of_prediction),
        dm=image(np.uint16) if has_dm else None,
        dynamic=image(np.uint8) if has_dbt else None,
        slices=rng.integers(0, 255, (n_slices, *shape)).astype(np.uint8) if has_dbt else None,
        slice_weights=np.linspace(-1, 1, n_slices) if has_dbt else None,
        evidence={
            ("alexnet", head): rng.dirichlet(np.ones(n_slices)) for head in heads if Modality.DBT in head.modalities
        },
        heat=[
            HeatMap(method, "alexnet", head, modality, rng.random((4, 3)).astype(np.float32))
            for method in ("grad_cam", "occlusion")
            for head in heads
            for modality in head.modalities
        ],
        facts={modality: ["size 24 x 20"] for modality in present},
        model="alexnet, 3 folds, 240 simulated patients",
        simulated=True,
    )
    return replace(view, **of_view)
