import numpy as np
import pytest

import dmdbt
from dmdbt.attention import HeatMap
from dmdbt.cohort import read_table
from dmdbt.prediction.shown import case_view
from dmdbt.terms import Head, Modality


@pytest.fixture(scope="module")
def evidence_of(bundle, cohort):
    """Evidence of the slices of a pair under a Grad-CAM map that the caller makes."""
    model, case = dmdbt.load_model(bundle), read_table(cohort / "cases.csv")[0]
    prediction = model.predict(cohort / case.dm, cohort / case.dbt)

    def evidence(values):
        heat = [HeatMap("grad_cam", "squeezenet", Head.DBT, Modality.DBT, np.asarray(values, np.float32))]
        with model._prepared(cohort / case.dm, cohort / case.dbt, "", "", "") as (request, images, root, work):
            view = case_view(request, prediction, images, model.model, heat, root=root, work=work)
        return view.evidence["squeezenet", "dbt"]

    return evidence


def test_under_an_even_map_all_slices_are_alike(evidence_of):
    np.testing.assert_allclose(evidence_of(np.ones((2, 2))), 1 / 9)


@pytest.mark.parametrize("value", [0, 1e-5])
def test_a_map_of_nothing_or_next_to_nothing_makes_no_slice_stand_out(evidence_of, value):
    assert evidence_of([[value, 0], [0, 0]]).tolist() == [0] * 9


def test_the_view_has_the_sensitivity_and_specificity_of_every_threshold(bundle, cohort):
    model, case = dmdbt.load_model(bundle), read_table(cohort / "cases.csv")[0]
    measured = model.view(cohort / case.dm).measured
    points_of = model.model.operating_points
    for classifier, points in (points_of | {"ensemble": points_of["dm"]}).items():  # which is alone
        for rule in ("youden", "sensitivity_90"):
            assert measured[rule][classifier] == (points.sensitivity[rule], points.specificity[rule])
