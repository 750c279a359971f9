"""A bundle in Python: files or arrays in, a prediction or a view out, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from dmdbt.bundle import Model
from dmdbt.cohort import rule_broken
from dmdbt.errors import InputDataError, ParameterError
from dmdbt.imaging import write_gray
from dmdbt.ingest import examine, read_examination
from dmdbt.prediction.predictor import Images, Predictor
from dmdbt.prediction.requests import Request, single_request
from dmdbt.prediction.result import Prediction, own_remedy
from dmdbt.prediction.shown import HeatMaps, case_view
from dmdbt.readers import Limits
from dmdbt.terms import Laterality, Modality, View
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

    def predict(
        self, dm: Source = None, dbt: Source = None, *, patient_id: str = "", laterality: str = "", view: str = ""
    ) -> Prediction:
        """Predict a pair, or one image of it, as ``dmdbt predict`` does.

        Parameters
        ----------
        dm
            Path of a mammogram, or its pixels as shown: uint8 or uint16, shape (H, W), 0 is black.
        dbt
            Path of a volume (a file or a folder of slices), or its slices: uint8, shape (T, H, W), in the order of
            the training's volumes. Of an array, the size is compared with the training, and no format of a file.
        patient_id
            Pseudonym, to find out whether the patient was part of the training.
        laterality, view
            ``L`` or ``R``, ``CC`` or ``MLO``; empty: as the files say.

        Raises
        ------
        InputDataError
            An image cannot be read or is refused; its code is in docs/faults.md.
        ParameterError
            Neither image is given, a path is not one that this system can open, or `patient_id` is no pseudonym.
        ValueError
            An array has a mask, or another type or shape; `laterality` or `view` is another text.
        """
        with self._prepared(dm, dbt, patient_id, laterality, view) as (request, images, _, work):
            return self._predictor.predict(request, images, work)

    def view(
        self, dm: Source = None, dbt: Source = None, *, patient_id: str = "", laterality: str = "", view: str = ""
    ) -> CaseView:
        """Predict as `predict` does, and return with it the images, the heat maps and the evidence of the slices."""
        with self._prepared(dm, dbt, patient_id, laterality, view) as (request, images, root, work):
            heat = HeatMaps()
            prediction = self._predictor.predict(request, images, work, on_head=heat.add)
            return case_view(request, prediction, images, self.model, heat.means(), root=root, work=work)

    @contextmanager
    def _prepared(
        self, dm: Source, dbt: Source, patient_id: str, laterality: str, view: str
    ) -> Iterator[tuple[Request, Images, Path, Path]]:
        for name, value, kind in (("laterality", laterality, Laterality), ("view", view, View)):
            _check_term(name, value, kind)
        with TemporaryDirectory() as folder:
            work = Path(folder)
            paths = _as_file(dm, work / "given" / "dm.png"), _as_folder(dbt, work / "given" / "dbt")
            if patient_id and (broken := rule_broken(patient_id)):
                raise ParameterError("patient_id", expected=broken, found=patient_id, remedy="Choose another.")
            request, root = single_request(*paths, name="case", patient_id=patient_id)
            request = replace(request, laterality=laterality, view=view)
            examine(request.case, work, cohort=root, limits=Limits(**asdict(self.model.reading)))
            images, problems = read_examination(work / "case.json")
            for problem in problems:
                file = Path(getattr(request.case, problem.role)).name
                raise InputDataError(problem.code, file=file, cause=problem.cause, remedy=own_remedy(problem.remedy))
            arrays = [m for m, source in zip(Modality, (dm, dbt), strict=True) if isinstance(source, np.ndarray)]
            images |= {modality: images[modality] | {"kind": ""} for modality in arrays}  # not that of our files
            self._predictor.make_images(request, root, work)
            yield request, images, root, work


def _check_term(name: str, value: str, kind: type[StrEnum]) -> None:
    if value not in ("", *kind):
        raise ValueError(f"{name}: expected {' or '.join(kind)} or nothing, got {value!r}")


def _as_file(source: Source, path: Path) -> Path | None:
    if not isinstance(source, np.ndarray):
        return _as_path(source, "dm")
    _check_unmasked(source, "dm")
    if source.ndim != 2 or not source.size or source.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"dm: expected uint8 or uint16 of shape (H, W), got {source.dtype} of shape {source.shape}")
    write_gray(path, source)
    return path


def _as_folder(source: Source, folder: Path) -> Path | None:
    if not isinstance(source, np.ndarray):
        return _as_path(source, "dbt")
    _check_unmasked(source, "dbt")
    if source.ndim != 3 or not source.size or source.dtype != np.uint8:
        raise ValueError(f"dbt: expected uint8 of shape (T, H, W), got {source.dtype} of shape {source.shape}")
    for number, image in enumerate(source, start=1):
        write_gray(folder / f"{number:05d}.png", image)
    return folder


def _as_path(source: Path | str | None, name: str) -> Path | None:
    if source is None:
        return None
    path = Path(source)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # the reader says so
    except (OSError, ValueError) as exc:  # a name that is too long, a NUL character
        expected, remedy = "a path that this system can open", "Correct the path."
        raise ParameterError(name, expected=expected, found=str(path)[:100], remedy=remedy) from exc
    return path


def _check_unmasked(array: np.ndarray, name: str) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError(f"{name}: expected an array without a mask, got a masked one. Fill it: array.filled(0).")
