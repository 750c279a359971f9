"""Everything that a page or a sheet shows of one predicted pair."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from dmdbt.attention import HeatMap, original_box, pooling_weights, relative_evidence, slice_evidence
from dmdbt.attention.maps import grad_cam, occlusion
from dmdbt.bundle import Model
from dmdbt.imaging import breast_box, read_gray, read_slices, slices_provenance
from dmdbt.ingest import Facts
from dmdbt.prediction.predictor import Images, points_of, spelled_out
from dmdbt.prediction.requests import Request
from dmdbt.prediction.result import Prediction
from dmdbt.readers import Limits, read_mammogram
from dmdbt.terms import Head, Modality
from dmdbt.viewer.view import Box, CaseView, ShownImage

_METHODS = {"occlusion": occlusion, "grad_cam": grad_cam}
_LEAST_SCORE = 0.01  # of log odds: a Grad-CAM map whose cells sum to less is as good as 0


class HeatMaps:
    """Collects the heat maps of all heads that a prediction uses: their means over the folds."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str, Head, Modality], list[np.ndarray]] = defaultdict(list)

    def add(self, backbone: str, head: Head, network: nn.Module, maps: Tensor) -> None:
        """Look at one head of one fold; see `dmdbt.prediction.predictor.OnHead`."""
        for method, look in _METHODS.items():
            for modality, values in look(head, network, maps).items():
                self._of[method, backbone, head, modality].append(values)

    def means(self) -> list[HeatMap]:
        """Return the heat maps."""
        return [
            HeatMap(*key, np.asarray(np.mean(values, axis=0, dtype=np.float32))) for key, values in self._of.items()
        ]


def case_view(
    request: Request,
    prediction: Prediction,
    images: Images,
    model: Model,
    heat: list[HeatMap],
    *,
    root: Path,
    work: Path,
) -> CaseView:
    """Gather what is shown of a pair.

    Parameters
    ----------
    request, prediction, images
        The pair, its result, and the facts of its examination.
    model
        The bundle's.
    heat
        Of `HeatMaps`.
    root
        Where the paths of the request start from.
    work
        Folder of `dmdbt.prediction.predictor.Predictor.make_images`.
    """
    case, crop = request.case, model.features.crop == "breast"
    dm = dynamic = slices = weights = None
    if case.dm:
        mammogram = read_mammogram(root / case.dm, Limits(**vars(model.reading)))
        pixels, orientation = mammogram.pixels, str(mammogram.provenance.get("stated_orientation", ""))
        pad = model.mammogram.resize == "pad"
        square = _box(read_gray(work / "mammograms" / f"{case.case_id}.png"), crop=crop)
        dm = ShownImage(pixels, original_box(square, pixels.shape, model.mammogram.size, pad=pad), orientation)
    evidence = {}
    if case.dbt:
        pooled = read_gray(work / "dynamic" / f"{case.case_id}.png")
        stored = work / "slices" / case.case_id
        orientation = str(slices_provenance(stored).get("stated_orientation", ""))
        dynamic = ShownImage(pooled, _box(pooled, crop=crop), orientation)
        slices = read_slices(stored)
        weights = pooling_weights(json.loads((work / "dynamic" / f"{case.case_id}.json").read_text(encoding="utf-8")))
        if weights is not None:
            even = slice_evidence(slices, weights, np.ones((1, 1), np.float32), dynamic.box)
            evidence = {
                (found.backbone, str(found.head)): relative_evidence(
                    slice_evidence(slices, weights, _cleared(found.values), dynamic.box), even
                )
                for found in heat
                if found.modality is Modality.DBT and found.method == "grad_cam"
            }
    return CaseView(
        prediction=prediction,
        dm=dm,
        dynamic=dynamic,
        slices=slices,
        slice_weights=weights,
        evidence=evidence,
        heat=heat,
        facts={str(modality): _lines(facts) for modality, facts in images.items()},
        model=model.line,
        simulated=model.training.simulated,
        measured={
            rule: {c: (of.sensitivity[rule], of.specificity[rule]) for c, of in points_of(model, prediction.p).items()}
            for rule in prediction.thresholds
            if rule != "half"
        },
    )


def _cleared(values: np.ndarray) -> np.ndarray:
    """Return a Grad-CAM map, or 0 everywhere if it is nearly so: shares of next to nothing would rank the slices."""
    return values if values.sum() >= _LEAST_SCORE else np.zeros_like(values)


def _box(image: np.ndarray, *, crop: bool) -> Box:
    rows, columns = breast_box(image) if crop else (slice(0, image.shape[0]), slice(0, image.shape[1]))
    return rows.start, rows.stop, columns.start, columns.stop


def _lines(facts: Facts) -> list[str]:
    words = [" x ".join(map(str, facts["shape"])) + " pixels", spelled_out(facts["kind"]), facts.get("device", "")]
    words += [facts[key] for key in ("voi", "slice_order") if key in facts]
    return [word for word in words if word]
