"""A bundle in Python: files or arrays in, a prediction or a view out, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from dmdbt.bundle import Model
from dmdbt.errors import InputDataError
from dmdbt.imaging import write_gray
from dmdbt.ingest import examine, read_examination
from dmdbt.prediction.predictor import Images, Predictor
from dmdbt.prediction.requests import Request, single_request
from dmdbt.prediction.result import Prediction
from dmdbt.prediction.shown import HeatMaps, case_view
from dmdbt.readers import Limits
from dmdbt.viewer.view import CaseView

Source = Path | str | np.ndarray | None


class LoadedModel:
    """A bundle that `dmdbt.load_model` has read.

    Attributes
    ----------
    model
        ``model.json``: parameters, thresholds, metrics, training cohort.
    """

    def __init__(self, folder: Path) -> None:
        self._predictor = Predictor(folder, threads=torch.get_num_threads())

    @property
    def model(self) -> Model:
        """``model.json`` of the bundle."""
        return self._predictor.model

    def predict(self, dm: Source = None, dbt: Source = None, *, patient_id: str = "") -> Prediction:
        """Predict a pair, or one image of it, as ``dmdbt predict`` does.

        Parameters
        ----------
        dm
            Path of a mammogram, or its pixels as shown: uint8 or uint16, shape (H, W), 0 is black.
        dbt
            Path of a volume (a file or a folder of slices), or its slices: uint8, shape (T, H, W), in the order of
            the training's volumes.
        patient_id
            Pseudonym, to find out whether the patient was part of the training.

        Raises
        ------
        InputDataError
            An image cannot be read or is refused; its code is in docs/faults.md.
        ParameterError
            Neither image is given.
        ValueError
            An array has another type or shape.
        """
        with self._prepared(dm, dbt, patient_id) as (request, images, _, work):
            return self._predictor.predict(request, images, work)

    def view(self, dm: Source = None, dbt: Source = None, *, patient_id: str = "") -> CaseView:
        """Predict as `predict` does, and return with it the images, the heat maps and the evidence of the slices."""
        with self._prepared(dm, dbt, patient_id) as (request, images, root, work):
            heat = HeatMaps()
            prediction = self._predictor.predict(request, images, work, on_head=heat.add)
            return case_view(request, prediction, images, self.model, heat.means(), root=root, work=work)

    @contextmanager
    def _prepared(self, dm: Source, dbt: Source, patient_id: str) -> Iterator[tuple[Request, Images, Path, Path]]:
        with TemporaryDirectory() as folder:
            work = Path(folder)
            paths = _as_file(dm, work / "given" / "dm.png"), _as_folder(dbt, work / "given" / "dbt")
            request, root = single_request(*paths, name="case", patient_id=patient_id)
            examine(request.case, work, cohort=root, limits=Limits(**asdict(self.model.reading)))
            images, problems = read_examination(work / "case.json")
            for problem in problems:
                file = Path(getattr(request.case, problem.role)).name
                raise InputDataError(problem.code, file=file, cause=problem.cause, remedy=problem.remedy)
            self._predictor.make_images(request, root, work)
            yield request, images, root, work


def _as_file(source: Source, path: Path) -> Path | None:
    if not isinstance(source, np.ndarray):
        return None if source is None else Path(source)
    if source.ndim != 2 or source.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"dm: expected uint8 or uint16 of shape (H, W), got {source.dtype} of shape {source.shape}")
    write_gray(path, source)
    return path


def _as_folder(source: Source, folder: Path) -> Path | None:
    if not isinstance(source, np.ndarray):
        return None if source is None else Path(source)
    if source.ndim != 3 or source.dtype != np.uint8:
        raise ValueError(f"dbt: expected uint8 of shape (T, H, W), got {source.dtype} of shape {source.shape}")
    for number, image in enumerate(source, start=1):
        write_gray(folder / f"{number:05d}.png", image)
    return folder
