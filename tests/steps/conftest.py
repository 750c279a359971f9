import numpy as np
import pytest

from tests.support.predictions import HEADS


@pytest.fixture
def cases():
    """Thirty patients 001 to 030; every third has a second view, every fifth a second breast, benign."""
    rows = []
    for number in range(1, 31):
        label = "malignant" if number % 2 else "benign"
        views = [("L", "CC", label)]
        views += [("L", "MLO", label)] if number % 3 == 0 else []
        views += [("R", "CC", "benign")] if number % 5 == 0 else []
        for side, view, of_view in views:
            name = {"case_id": f"{number:03}-{side}-{view}", "patient_id": f"{number:03}"}
            rows.append(name | {"laterality": side, "view": view, "label": of_view, "dm": "a.dcm", "dbt": "b.avi"})
    return rows


@pytest.fixture
def probabilities(cases):
    rng = np.random.default_rng(5)
    rows = []
    for case in cases:
        row = {name: case[name] for name in ("case_id", "patient_id", "label")} | {"fold": int(case["patient_id"]) % 2}
        shift = 0.15 if case["label"] == "malignant" else -0.15
        rows.append(row | {f"p_{head}": float(np.clip(0.5 + shift + 0.25 * rng.normal(), 0, 1)) for head in HEADS})
    return rows
