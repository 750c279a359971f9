import numpy as np
import pytest
from pydicom import dcmread

from dmdbt.prediction.result import NOTICE
from dmdbt.readers import read_volume
from dmdbt.readers.limits import Limits
from dmdbt.terms import FLAGS, Modality
from tests.dicom_output.conftest import children, groups, value, values
from tests.support.dicom_corpus import in_stack, item
from tests.support.dicom_sources import write_folder, write_mammogram, write_multi_frame
from tests.support.noisy_views import P, case_view

VERDICTS = {("SCT", "30807003"): "benign", ("SCT", "21594007"): "malignant"}
PROBABILITY, MEAN, MINIMUM, MAXIMUM = "111047", "373098007", "255605001", "56851009"


@pytest.fixture
def mammogram(tmp_path):
    return write_mammogram(tmp_path / "dm.dcm")


def numbers(group):
    """Probabilities of a group, by derivation and method."""
    found = {}
    for number in children(group, PROBABILITY):
        derivation, method = values(number, "121401"), values(number, "370129005")
        found[derivation[0][1], method[0][1] if method else ""] = value(number)
    return found


def test_every_classifier_has_its_probabilities_in_percent(written, mammogram):
    view = case_view()
    found = groups(written(view, [mammogram]).report)
    assert list(found) == list(P)
    for classifier, p in P.items():
        assert numbers(found[classifier]) == {
            (MEAN, ""): (pytest.approx(100 * p, abs=1e-8), "%"),
            (MINIMUM, ""): (pytest.approx(100 * p - 12.5, abs=1e-8), "%"),
            (MAXIMUM, ""): (pytest.approx(100 * p + 12.5, abs=1e-8), "%"),
            (MEAN, "calibrated"): (pytest.approx(50 * p, abs=1e-8), "%"),
        }
    assert values(found["ensemble"], "vote-fraction") == [(75, "%")]


def test_every_decision_names_its_rule_and_its_threshold_or_the_votes(written, mammogram):
    view = case_view()
    for classifier, group in groups(written(view, [mammogram]).report).items():
        told = {}
        for decision in children(group, "decision"):
            ((_, rule),) = values(decision, "rule")
            if rule == "majority":
                assert (classifier, VERDICTS[value(decision)]) == ("ensemble", "malignant")
                assert values(decision, "vote-fraction") == [(75, "%")]
                assert values(decision, "threshold") == []
                continue
            ((threshold, unit),) = values(decision, "threshold")
            assert unit == "%"
            told[rule] = VERDICTS[value(decision)], threshold / 100
        expected = {
            rule: (view.prediction.decisions[rule][classifier], pytest.approx(thresholds[classifier]))
            for rule, thresholds in view.prediction.thresholds.items()
            if (rule, classifier) != ("half", "ensemble")
        }
        assert told == expected


def test_a_rule_without_a_decision_is_left_out(written, mammogram):
    decisions = {"half": dict.fromkeys(P, "benign"), "youden": dict.fromkeys(P, "")}
    report = written(case_view(decisions=decisions), [mammogram]).report
    for classifier, group in groups(report).items():
        rule = "majority" if classifier == "ensemble" else "half"
        assert [values(decision, "rule") for decision in children(group, "decision")] == [[("99DMDBT", rule)]]


def test_a_classifier_without_a_probability_is_not_in_the_report(written, mammogram):
    view = case_view(present=[Modality.DM])
    report = written(view, [mammogram]).report
    assert list(groups(report)) == ["dm", "ensemble"]
    assert values(report, "not-referenced") == []


def test_a_view_without_any_probability_is_an_error_of_the_caller(written, mammogram):
    with pytest.raises(ValueError, match="at least one item"):
        written(case_view(p={"dm": None}), [mammogram])


@pytest.mark.parametrize(
    ("simulated", "sentence"),
    [
        (True, "The training cohort was simulated."),
        (False, "The training cohort was not simulated."),
        (None, "It is not stated whether the training cohort was simulated."),
    ],
)
def test_both_objects_say_that_this_is_no_medical_device_and_what_it_was_trained_on(
    written, mammogram, simulated, sentence
):
    report, sheet, _ = written(case_view(simulated=simulated), [mammogram])
    assert NOTICE == "Research software, not a medical device."
    assert values(report, "notice") == [NOTICE]
    assert values(report, "training") == [sentence]
    assert values(report, "meaning")[0].startswith("Probability of malignancy (model output). ")
    names = [entry.ConceptNameCodeSequence[0].CodeValue for entry in report.ContentSequence]
    assert names.index("notice") < names.index("training") < names.index("126010")  # before any number
    assert all(NOTICE in dataset.SeriesDescription for dataset in (report, sheet))
    assert sheet.DerivationDescription.endswith(f"{NOTICE} {sentence}")


def test_the_report_is_partial_preliminary_and_unverified(written, mammogram):
    report = written(case_view(), [mammogram]).report
    flags = (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag)
    assert flags == ("PARTIAL", "PRELIMINARY", "UNVERIFIED")


def test_the_observer_is_the_software_and_its_model(written, mammogram):
    view = case_view()
    report = written(view, [mammogram]).report
    assert values(report, "121005") == [("DCM", "121007")]
    assert values(report, "121013")[0].startswith("dmdbt ")
    assert values(report, "121015") == [view.model]
    for group in groups(report).values():
        assert values(group, "111001") + values(group, "111002") == ["dmdbt", view.model]


def test_folds_warnings_and_flags_are_there_and_flags_are_explained(written, mammogram):
    view = case_view(flags=["dbt-few-slices", "newer-than-this"], warnings=["First.", "Second."])
    report = written(view, [mammogram]).report
    assert values(report, "folds") == ["0, 2, 3"]
    assert values(report, "warning") == ["First.", "Second."]
    assert values(report, "flag") == [f"dbt-few-slices: {FLAGS['few-slices']}", "newer-than-this"]


def test_the_finding_site_is_the_breast_of_the_side(written, mammogram):
    for laterality, expected in {"L": ["7771000"], "R": ["24028007"], "": []}.items():
        report, sheet, _ = written(case_view(laterality=laterality), [mammogram])
        (site,) = children(groups(report)["dm"], "363698007")
        assert [side for _, side in values(site, "272741003")] == expected
        assert sheet.get("Laterality", "") == laterality


def test_each_classifier_names_the_images_that_it_saw(written, tmp_path, mammogram):
    write_multi_frame(tmp_path / "dbt.dcm", 7)
    report = written(case_view(), [mammogram, tmp_path / "dbt.dcm"]).report
    dm, dbt = ("2.25.301", None), ("2.25.302", None)
    seen = {classifier: values(group, "121112") for classifier, group in groups(report).items()}
    assert seen == {"dm": [dm], "dbt": [dbt], "dm_dbt": [dm, dbt], "ensemble": [dm, dbt]}


def evidence_with(peaks, n_slices):
    """Shares that fall with the place in `peaks`, the same for both heads that see the volume."""
    shares = np.full(n_slices, 0.01)
    shares[peaks] = [0.5, 0.25, 0.125]
    return {("alexnet", head): shares / shares.sum() for head in ("dbt", "dm_dbt")}


def slices_named(group):
    """Number in reading order, share, and reference of the slices with most evidence."""
    return [
        (values(number, "slice")[0], value(number), values(number, "121112"))
        for number in children(group, "slice-evidence")
    ]


@pytest.mark.parametrize("order", ["as_stored", "from_paddle", "from_detector"])
def test_slices_with_most_evidence_are_named_by_their_frame_as_stored(written, tmp_path, mammogram, order):
    numbers = [3, 7, 1, 5, 2, 6, 4]  # in-stack position of each frame; the higher the number, the nearer to the paddle
    per_frame = [
        item(
            FrameContentSequence=[in_stack(number)],
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 10 * number])],
        )
        for number in numbers
    ]
    frames = write_multi_frame(tmp_path / "dbt.dcm", 7, groups=per_frame)
    limits = Limits(slice_order=order)
    view = case_view(evidence=evidence_with([4, 0, 6], 7))
    report = written(view, [mammogram, tmp_path / "dbt.dcm"], limits=limits).report
    volume = read_volume(tmp_path / "dbt.dcm", limits)
    for head in ("dbt", "dm_dbt"):
        named = slices_named(groups(report)[head])
        assert [number for number, _, _ in named] == ["5 of 7", "1 of 7", "7 of 7"]
        assert [share for _, (share, _), _ in named] == pytest.approx([100 * x / 0.915 for x in (0.5, 0.25, 0.125)])
        for slice_index, (_, _, [(uid, frame)]) in zip([4, 0, 6], named, strict=True):
            assert uid == "2.25.302"
            # The window shows stored values of 8 bits as they are.
            assert np.abs(volume[slice_index].astype(int) - frames[frame - 1]).max() <= 1
    assert slices_named(groups(report)["dm"]) == slices_named(groups(report)["ensemble"]) == []


def test_slices_of_a_folder_are_named_by_their_instance(written, tmp_path, mammogram):
    files = write_folder(tmp_path / "dbt", 5, numbers=[4, 2, 5, 1, 3])
    instances = dict(zip([4, 2, 5, 1, 3], (dcmread(file).SOPInstanceUID for file in files), strict=True))
    view = case_view(n_slices=5, evidence=evidence_with([2, 4, 0], 5))
    report = written(view, [mammogram, tmp_path / "dbt"]).report
    named = slices_named(groups(report)["dbt"])
    assert [reference for _, _, reference in named] == [[(instances[number], None)] for number in (3, 5, 1)]
    assert [uid for uid, _ in values(groups(report)["dbt"], "121112")] == [instances[n] for n in range(1, 6)]


@pytest.mark.parametrize("shifts", [[0, 0, 0, 0, 0], [0, 300, 100, 500, 200]], ids=["upright", "sheared"])
@pytest.mark.parametrize("order", ["as_stored", "from_paddle", "from_detector"])
def test_positions_decide_the_instances_as_they_decide_the_slices_that_are_read(
    written, tmp_path, mammogram, order, shifts
):
    files = write_folder(tmp_path / "dbt", 5, numbers=[1, 2, 3, 4, 5])
    stored = {}
    for file, height, shift in zip(files, [40, 10, 50, 20, 30], shifts, strict=True):
        dataset = dcmread(file)
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [shift, 0, height], [1, 0, 0, 0, 1, 0]
        dataset.save_as(file)
        stored[dataset.SOPInstanceUID] = dataset.pixel_array
    limits = Limits(slice_order=order)
    volume = read_volume(tmp_path / "dbt", limits)
    view = case_view(n_slices=5, evidence=evidence_with([3, 0, 1], 5))
    report = written(view, [mammogram, tmp_path / "dbt"], limits=limits).report
    named = [uid for _, _, [(uid, _)] in slices_named(groups(report)["dbt"])]
    for slice_index, uid in zip([3, 0, 1], named, strict=True):
        assert np.abs(volume[slice_index] - stored[uid] / 4095 * 255).max() < 1


def test_slices_of_a_volume_that_is_no_dicom_file_are_named_by_number(written, tmp_path, mammogram):
    view = case_view(evidence=evidence_with([1, 2, 3], 7))
    (tmp_path / "SECRET.avi").write_bytes(b"RIFF\0\0\0\0AVI ")
    report = written(view, [mammogram, tmp_path / "SECRET.avi"]).report
    assert [(number, reference) for number, _, reference in slices_named(groups(report)["dbt"])] == [
        ("2 of 7", []),
        ("3 of 7", []),
        ("4 of 7", []),
    ]
    sentence = "The tomosynthesis volume was no DICOM file: nothing here refers to it."
    assert values(report, "not-referenced") == [sentence]
    assert "SECRET" not in report.to_json()


def test_evidence_of_several_backbones_counts_as_their_mean(written, mammogram):
    shares = {("alexnet", "dbt"): np.array([0.8, 0.2, 0.0]), ("vgg11", "dbt"): np.array([0.0, 0.4, 0.6])}
    report = written(case_view(n_slices=3, evidence=shares), [mammogram]).report
    named = [(number, share) for number, (share, _), _ in slices_named(groups(report)["dbt"])]
    assert named == [("1 of 3", 40), ("2 of 3", 30), ("3 of 3", 30)]


def test_a_head_whose_heat_map_is_blank_names_no_slice_and_says_so(written, mammogram):
    shares = {("alexnet", "dbt"): np.zeros(7), ("alexnet", "dm_dbt"): np.array([0, 0, 0.25, 0, 0, 0.75, 0])}
    report = written(case_view(evidence=shares), [mammogram]).report
    assert slices_named(groups(report)["dbt"]) == []
    assert [number for number, _, _ in slices_named(groups(report)["dm_dbt"])] == ["6 of 7", "3 of 7"]
    sentence = "DBT. No slice stands out: where the slices differ, the Grad-CAM map is 0 or nearly 0."
    assert values(report, "no-evidence") == [sentence]


def test_evidence_of_another_number_of_slices_is_an_error_of_the_caller(written, tmp_path, mammogram):
    write_multi_frame(tmp_path / "dbt.dcm", 6)
    with pytest.raises(ValueError, match="expected the 6 slices of the DICOM volume, got 7"):
        written(case_view(n_slices=7), [mammogram, tmp_path / "dbt.dcm"])
