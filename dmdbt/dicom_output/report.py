"""The numbers of a case as a tree of content items, by template TID 1500, Measurement Report (PS3.16).

Why Comprehensive 3D SR: Basic Text SR has no numbers, which would leave the probabilities in prose. Enhanced SR would
hold all that stands here. But TID 1500 in a Comprehensive 3D SR is the form that the profile IHE AI Results builds on
and that viewers such as OHIF look for: a probability is found by its code, and a later version may add places in the
volume without another kind of object.

There is a measurement group per classifier; its images are those that the classifier saw.
"""

import re

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageContentItem,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurement,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dmdbt import __version__
from dmdbt.attention import top_slices
from dmdbt.dicom_output.codes import CLASSES, PERCENT, PROBABILITY, SIDES, private
from dmdbt.dicom_output.sources import Instance, Sources
from dmdbt.dicom_output.words import NAMES, cohort_sentence, legal_text, uid
from dmdbt.prediction.result import NOTICE, Prediction
from dmdbt.terms import FLAGS, Head, Label, Laterality, Modality
from dmdbt.viewer import words
from dmdbt.viewer.view import CaseView

_CONTAINS = RelationshipTypeValues.CONTAINS
_MODIFIES = RelationshipTypeValues.HAS_CONCEPT_MOD
_INFERRED = RelationshipTypeValues.INFERRED_FROM


def report_content(view: CaseView, sources: Sources, sheet: Dataset) -> Dataset:
    """Return the root of the content tree.

    Parameters
    ----------
    view
        The case.
    sources
        What the items refer to.
    sheet
        The Secondary Capture of the case.
    """
    prediction = view.prediction
    report = MeasurementReport(
        observation_context=ObservationContext(_observer(view.model)),
        procedure_reported=codes.SCT.Mammography,
        imaging_measurements=[
            _group(view, sources, classifier) for classifier, p in prediction.p.items() if p is not None
        ],
        title=codes.DCM.ImagingMeasurementReport,
    )
    root = report[0].ContentSequence
    for position, item in enumerate(_before(view), start=len(root) - 1):  # the measurements come last
        root.insert(position, item)
    root.extend(_after(view, sources))
    root.append(
        ImageContentItem(private("sheet"), sheet.SOPClassUID, sheet.SOPInstanceUID, relationship_type=_CONTAINS)
    )
    return report[0]


def _observer(model: str) -> ObserverContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=uid("device", __version__, model),
        name=f"dmdbt {__version__}. {NOTICE}",
        manufacturer_name="dmdbt",
        model_name=legal_text(model),
    )
    return ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)


def _before(view: CaseView) -> list[TextContentItem]:
    meaning = f"{words.PROBABILITY}. {words.MEANING}"
    return [_text("notice", NOTICE), _text("training", cohort_sentence(view.simulated)), _text("meaning", meaning)]


def _after(view: CaseView, sources: Sources) -> list[TextContentItem]:
    prediction = view.prediction
    items = [_text("folds", ", ".join(map(str, prediction.folds)) or "none")]
    items += [_text("warning", warning) for warning in prediction.warnings]
    items += [_text("flag", _explained(flag)) for flag in prediction.flags]
    blank = [head for head, shares in _evidence_of_heads(view).items() if not shares.any()]
    items += [_text("no-evidence", f"{words.heading(head)}. {words.NO_EVIDENCE}") for head in blank]
    for modality, image in {Modality.DM: view.dm, Modality.DBT: view.dynamic}.items():
        if image is not None and modality not in sources.instances:
            items.append(
                _text("not-referenced", f"The {NAMES[modality]} was no DICOM file: nothing here refers to it.")
            )
    return items


def _group(view: CaseView, sources: Sources, classifier: str) -> MeasurementsAndQualitativeEvaluations:
    """Return what one classifier says, with the images that it saw."""
    prediction = view.prediction
    modalities = list(Modality) if classifier == "ensemble" else Head(classifier).modalities
    seen = [instance for modality in modalities for instance in sources.instances.get(modality, [])]
    measurements = _probabilities(prediction, classifier)
    if classifier == "ensemble":
        measurements.append(Measurement(private("vote-fraction"), _percent(prediction.vote_fraction), PERCENT))
    else:
        measurements += _evidence(view, sources, classifier)
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid("tracking", [instance.sop_instance_uid for instance in sources.all_instances()], classifier),
            legal_text(f"{prediction.case_id} {classifier}"),
        ),
        method=private(classifier),
        algorithm_id=AlgorithmIdentification("dmdbt", __version__, parameters=[legal_text(view.model)]),
        finding_sites=[_site(prediction.laterality)],
        measurements=measurements,
        qualitative_evaluations=_decisions(prediction, classifier),
        source_images=[_source(instance) for instance in seen],
    )


def _probabilities(prediction: Prediction, classifier: str) -> list[Measurement]:
    """Return the mean over folds and backbones, their range, and the recalibrated mean, in percent."""
    values: list[tuple[float | None, Code, CodedConcept | None]] = [
        (prediction.p[classifier], codes.SCT.Mean, None),
        (prediction.lowest.get(classifier), codes.SCT.Minimum, None),
        (prediction.highest.get(classifier), codes.SCT.Maximum, None),
        (prediction.calibrated.get(classifier), codes.SCT.Mean, private("calibrated")),
    ]
    return [
        Measurement(PROBABILITY, _percent(value), PERCENT, derivation=derivation, method=method)
        for value, derivation, method in values
        if value is not None
    ]


def _decisions(prediction: Prediction, classifier: str) -> list[QualitativeEvaluation]:
    found = []
    for rule, decisions in prediction.decisions.items():
        threshold = prediction.thresholds.get(rule, {}).get(classifier)
        if not decisions.get(classifier) or threshold is None:
            continue
        decision = QualitativeEvaluation(private("decision"), CLASSES[Label(decisions[classifier])])
        by, number, value = private(rule), private("threshold"), threshold
        if (rule, classifier) == (words.HALF, "ensemble"):
            by, number, value = private("majority"), private("vote-fraction"), prediction.vote_fraction
        decision[0].ContentSequence = ContentSequence(
            [
                CodeContentItem(private("rule"), by, _MODIFIES),
                NumContentItem(number, _percent(value), PERCENT, relationship_type=_INFERRED),
            ]
        )
        found.append(decision)
    return found


def _evidence(view: CaseView, sources: Sources, head: str) -> list[Measurement]:
    """Return the slices with most evidence, the mean over backbones, each with its frame where it has one."""
    mean = _evidence_of_heads(view).get(head, np.empty(0))
    found = []
    for index in top_slices(mean):
        item = Measurement(
            private("slice-evidence"),
            _percent(float(mean[index])),
            PERCENT,
            referenced_images=_slice_reference(sources, index, len(mean)),
        )
        number = TextContentItem(private("slice"), f"{index + 1} of {len(mean)}", _MODIFIES)
        item[0].ContentSequence = ContentSequence([number, *item[0].get("ContentSequence", [])])
        found.append(item)
    return found


def _evidence_of_heads(view: CaseView) -> dict[str, np.ndarray]:
    """Return by head the evidence of the slices, the mean over backbones."""
    heads = dict.fromkeys(head for _, head in view.evidence)
    return {head: np.mean([found for (_, of), found in view.evidence.items() if of == head], axis=0) for head in heads}


def _slice_reference(sources: Sources, index: int, count: int) -> list[SourceImageForMeasurement]:
    instances = sources.instances.get(Modality.DBT)
    if not instances:
        return []
    if (known := len(sources.frames or instances)) != count:
        raise ValueError(f"evidence: expected the {known} slices of the DICOM volume, got {count}")
    instance = instances[0] if sources.frames else instances[index]
    frames = [sources.frames[index]] if sources.frames else None
    return [SourceImageForMeasurement(instance.sop_class_uid, instance.sop_instance_uid, frames)]


def _source(instance: Instance) -> SourceImageForMeasurementGroup:
    return SourceImageForMeasurementGroup(instance.sop_class_uid, instance.sop_instance_uid)


def _site(laterality: str) -> FindingSite:
    side = SIDES[Laterality(laterality)] if laterality in list(Laterality) else None
    return FindingSite(codes.SCT.Breast, laterality=side)


def _text(code: str, text: str) -> TextContentItem:
    return TextContentItem(private(code), legal_text(text), _CONTAINS)


def _explained(flag: str) -> str:
    meaning = FLAGS.get(re.sub("^(dm|dbt|dynamic-image)-", "", flag))
    return f"{flag}: {meaning}" if meaning else flag


def _percent(share: float) -> float:
    """Return a share as percent to 8 digits after the point, which a Decimal String holds."""
    return round(100 * share, 8)
