"""A case to show: images of plain gray, so that whatever else is seen was drawn over them."""

from dataclasses import replace

import numpy as np

from dmdbt.attention.heat import HeatMap
from dmdbt.prediction.result import BackboneResult, Prediction
from dmdbt.terms import Head, Modality
from dmdbt.viewer.view import CaseView, ShownImage

CLASSIFIERS = ("dm", "dbt", "dm_dbt", "ensemble")
N_SLICES = 12
DM_BOX, DBT_BOX = (20, 180, 0, 80), (10, 90, 10, 60)
DM_GRAY, HOTTEST = 100, (2, 1)  # the cell with the largest value of every map
EVIDENCE = np.array([1, 2, 3, 4, 20, 6, 7, 18, 9, 15, 8, 7]) / 100


def heat_map(method, backbone, head, modality):
    """4 x 2 cells: one of 0.5, one of -0.25 if occlusion, others of 0."""
    values = np.zeros((4, 2), np.float32)
    values[HOTTEST] = 0.5
    if method == "occlusion":
        values[0, 0] = -0.25
    return HeatMap(method, backbone, head, modality, values)


def prediction(**changes):
    p = {"dm": 0.1234, "dbt": 0.9996, "dm_dbt": 0.5678, "ensemble": 0.6543}
    backbones = {
        name: BackboneResult(
            folds={fold: {head: p[head] - 0.01 * fold - shift for head in CLASSIFIERS[:3]} for fold in (1, 2)},
            p={name: value - shift for name, value in p.items()},
            vote_fraction=2 / 3,
            decisions={name: "malignant" if value - shift >= 0.5 else "benign" for name, value in p.items()},
        )
        for name, shift in (("alexnet", 0.0), ("resnet", 0.05))
    }
    thresholds = {"half": 0.5, "youden": 0.317, "sensitivity_90": 0.109}
    made = Prediction(
        case_id="C1",
        patient_id="P1",
        laterality="L",
        view="CC",
        label="malignant",
        p=p,
        lowest={name: value - 0.0712 for name, value in p.items()},
        highest={name: value + 0.0003 for name, value in p.items()},
        calibrated={name: 0.9 * value for name, value in p.items()},
        thresholds={rule: dict.fromkeys(CLASSIFIERS, threshold) for rule, threshold in thresholds.items()},
        decisions={
            rule: {name: "malignant" if value >= threshold else "benign" for name, value in p.items()}
            for rule, threshold in thresholds.items()
        },
        vote_fraction=2 / 3,
        folds=[1, 2],
        backbones=backbones,
        flags=["dm-low-range", "few-slices"],
        warnings=["The patient was seen in training."],
    )
    return replace(made, **changes)


def case_view(**changes):
    """A mammogram of 200 x 160, and 12 slices of 100 x 80 that become brighter by 10 gray levels each."""
    dm = np.full((200, 160), DM_GRAY * 257, np.uint16)
    dm[-1, -2:] = 0, 65535  # the whole range of gray levels
    slices = np.stack([np.full((100, 80), 10 * number, np.uint8) for number in range(1, N_SLICES + 1)])
    heat = [
        heat_map(method, backbone, head, modality)
        for backbone in ("alexnet", "resnet")
        for head in Head
        for method in ("grad_cam", "occlusion")
        for modality in head.modalities
    ]
    made = CaseView(
        prediction=prediction(),
        dm=ShownImage(dm, DM_BOX),
        dynamic=ShownImage(np.full((100, 80), 128, np.uint8), DBT_BOX),
        slices=slices,
        slice_weights=np.linspace(-1, 1, N_SLICES),
        evidence={(name, head.value): EVIDENCE for name in ("alexnet", "resnet") for head in (Head.DBT, Head.DM_DBT)},
        heat=heat,
        facts={"dm": ["DICOM, 12 bits"], "dbt": ["AVI, FFV1"]},
        model="alexnet and resnet, 2 folds, 40 patients",
        simulated=True,
        measured={
            "youden": dict.fromkeys(CLASSIFIERS, (0.82, 0.71)),
            "sensitivity_90": dict.fromkeys(CLASSIFIERS, (0.91, None)),
        },
    )
    return replace(made, **changes)


def without(modality):
    """The case without one of its images."""
    of_heads = {Modality.DM: Head.DBT, Modality.DBT: Head.DM}
    heat = [of for of in case_view().heat if of.head is of_heads[modality]]
    p = {name: None if name in (modality, "dm_dbt") else 0.6543 for name in CLASSIFIERS}
    shown = prediction(p=p, lowest=p, highest=p, calibrated=p)
    if modality is Modality.DM:
        return case_view(prediction=shown, heat=heat, dm=None)
    return case_view(prediction=shown, heat=heat, dynamic=None, slices=None, slice_weights=None, evidence={}, facts={})
