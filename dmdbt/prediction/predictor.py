"""One pair through a bundle: the steps of the pipeline itself, and then its heads."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydicom.uid import UID
from torch import nn

from dmdbt import params
from dmdbt.bundle import (
    TRAINING_NAME,
    Model,
    OperatingPoints,
    Seen,
    Training,
    calibrated,
    checked_file,
    damaged,
    read_model,
)
from dmdbt.errors import InputDataError, IntegrityError
from dmdbt.evaluation import CLASSIFIERS, majority_vote
from dmdbt.files import file_state
from dmdbt.heads import ModelInput, open_features, predict, read_head
from dmdbt.ingest import Facts, disagreements, slice_ends
from dmdbt.prediction.requests import Request
from dmdbt.prediction.result import BackboneResult, Prediction, Probabilities
from dmdbt.running import Step, compute_device
from dmdbt.steps.decode import decode_step
from dmdbt.steps.features import features_step
from dmdbt.steps.mammogram import mammogram_step
from dmdbt.steps.rankpool import rankpool_step
from dmdbt.terms import FLAGS, Head, Label, Modality

_KEPT_BYTES = 2**30  # of heads, that stay in memory from case to case
_NAMES = {Modality.DM: "mammogram", Modality.DBT: "volume"}

Images = Mapping[Modality, Facts]
# Called with a backbone, a head, its network and the feature maps (C, h, w, M) of its images, for every fold.
OnHead = Callable[[str, Head, nn.Module, torch.Tensor], None]


class Predictor:
    """A bundle that has been read.

    Parameters
    ----------
    folder
        What ``dmdbt export`` has written.
    threads
        Of the heads and what looks at them. Features are computed on one, as in the pipeline: with more, sums have
        other last bits.

    Raises
    ------
    IntegrityError
        The folder is no bundle, one of another version, or damaged.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder, self._threads = folder.absolute(), threads
        self.model: Model = read_model(folder)
        self._training = Training(checked_file(folder, TRAINING_NAME), self.model.training)
        self._checks, self._process = _checks(self.folder, self.model), os.getpid()
        self._kept: dict[tuple[str, int, Head], nn.Module] = {}

    def make_images(self, request: Request, root: Path, work: Path) -> None:
        """Run the steps of the pipeline on one pair, into ``mammograms``, ``slices`` and ``dynamic`` of a folder."""
        model, cases = self.model, [request.case]
        _run(mammogram_step(cases, root, model.mammogram, model.reading), work / "mammograms")
        _run(decode_step(cases, root, model.decode, model.reading, shape=_unknown), work / "slices")
        _run(rankpool_step(cases, work / "slices", model.rankpool), work / "dynamic")

    def predict(self, request: Request, images: Images, work: Path, *, on_head: OnHead | None = None) -> Prediction:
        """Predict a pair from the images of `make_images`.

        Parameters
        ----------
        request
            The pair.
        images
            Facts of its examination.
        work
            The folder of `make_images`; feature maps are written beside the images.
        on_head
            Called for every head that is used.

        Raises
        ------
        InputDataError
            No head can run, or every fold was trained on this pair or its patient.
        """
        seen = self._training.seen(request.patient_id, images)
        results = {
            name: self._backbone(name, request, self._folds(name, request, seen), work, on_head)
            for name in self.model.backbones
        }
        folds = sorted({fold for result in results.values() for fold in result.folds})
        p = {c: _mean([result.p[c] for result in results.values()]) for c in CLASSIFIERS}
        of_folds = [self._of_fold(probs, request) for result in results.values() for probs in result.folds.values()]
        singles = {c: [value for probs in of_folds if (value := probs[c]) is not None] for c in CLASSIFIERS}
        fraction = float(np.mean([result.vote_fraction for result in results.values()]))
        points = points_of(self.model, p)
        thresholds = _thresholds(points, folds if seen.folds else [])
        decisions = {rule: {c: _decision(p[c], limits[c]) for c in CLASSIFIERS} for rule, limits in thresholds.items()}
        decisions["half"]["ensemble"] = _voted(fraction, p["ensemble"])
        view = request.view or _stated(images, "stated_view")
        flags = list(disagreements(images, laterality=request.laterality, view=request.view))
        return Prediction(
            case_id=request.case.case_id,
            patient_id=request.patient_id,
            laterality=request.laterality or _stated(images, "stated_laterality"),
            view=view,
            label=request.label,
            p=p,
            lowest={c: min(values, default=None) for c, values in singles.items()},
            highest={c: max(values, default=None) for c, values in singles.items()},
            calibrated={c: calibrated(v, points[c]) if v is not None and c in points else None for c, v in p.items()},
            thresholds=thresholds,
            decisions=decisions,
            vote_fraction=fraction,
            folds=folds,
            backbones=results,
            flags=flags,
            warnings=[*_missing(images), *_familiar(seen, folds), *_contradicted(flags), *self._unlike(images, view)],
        )

    def _folds(self, name: str, request: Request, seen: Seen) -> list[int]:
        """Return the folds of a backbone that were not trained on the pair."""
        folds = [fold for fold, heads in self.model.backbones[name].heads.items() if heads]
        allowed = [fold for fold in folds if seen.folds <= {fold}]
        if not allowed:
            where = ", ".join(map(str, sorted(seen.folds)))
            raise InputDataError(
                "SEEN",
                case=request.case.case_id,
                cause="expected a fold that was not trained on these images or this patient, found none (they were in "
                f"fold {where}{', as different patients' if seen.patients > 1 else ''})",
                remedy="Predict patients that the model has not seen, or train and export all folds.",
            )
        return allowed

    def _backbone(
        self, name: str, request: Request, folds: Sequence[int], work: Path, on_head: OnHead | None
    ) -> BackboneResult:
        model, case = self.model, request.case
        features = work / "features" / name
        settings = replace(model.features, augmentations=["original"])
        weights = self._file(_weights(name))
        backbones = params.Backbones([name], model.resnet_depth, "imagenet")
        folders = {Modality.DM: work / "mammograms", Modality.DBT: work / "dynamic"}
        step = features_step(name, [case], folders, weights, backbones, settings)
        try:
            _run(step, features, threads=self._threads)
        except IntegrityError as exc:
            raise damaged(_weights(name), exc.cause) from exc
        present = np.array([[modality in case.modalities for modality in Modality]])
        device = torch.device(compute_device())
        maps = open_features(features, [case.case_id], np.zeros(1, int), memory=np.inf, device=device, present=present)
        made = ModelInput(maps.shape, maps.origin.backbone, maps.origin.weights_sha256, maps.origin.size)
        if difference := _difference(self._input(name), made):
            raise damaged("model.json", f"feature maps of {name}: {difference}")
        found: dict[int, Probabilities] = {}
        with _threads(self._threads):
            for fold in folds:
                found[fold] = dict.fromkeys(map(str, Head))
                for head in self.model.backbones[name].heads[fold]:
                    if not set(head.modalities) <= set(case.modalities):
                        continue
                    network = self._network(name, fold, head).to(device)
                    found[fold][head] = float(predict({head: network}, maps, np.zeros(1, int), device=device)[head][0])
                    if on_head:
                        batch = next(maps.batches([(np.zeros(1, int), np.zeros(1, int))], device, head.modalities))
                        on_head(name, head, network, batch[0])
        heads = {str(head): _mean([probs[head] for probs in found.values()]) for head in Head}
        fraction, mean = self._vote(heads, case.case_id)
        p = heads | {"ensemble": mean}
        decisions = {c: _decision(p[c], 0.5) for c in heads} | {"ensemble": _voted(fraction, mean)}
        return BackboneResult(found, p, fraction, decisions)

    def _of_fold(self, heads: Probabilities, request: Request) -> Probabilities:
        """Add the vote of the heads of one fold, if one of them has a say."""
        known = any(heads[head] is not None and self.model.ensemble.weights[head.value] > 0 for head in Head)
        return heads | {"ensemble": self._vote(heads, request.case.case_id)[1] if known else None}

    def _vote(self, heads: Mapping[str, float | None], case_id: str) -> tuple[float, float]:
        weights = np.array([self.model.ensemble.weights[head.value] for head in Head])
        probs = np.array([[heads[head] for head in Head]], dtype=float)  # None becomes NaN
        if not (weights[~np.isnan(probs[0])] > 0).any():
            cause = "expected a head that can run on the images of the case and has a weight, found none"
            remedy = "Give the case the image that it lacks."
            raise InputDataError("VOTE-NONE", case=case_id, cause=cause, remedy=remedy)
        vote = majority_vote(probs, weights / weights.sum())
        return float(vote.fraction[0]), float(vote.mean[0])

    def _network(self, backbone: str, fold: int, head: Head) -> nn.Module:
        if (key := (backbone, fold, head)) in self._kept:
            return self._kept[key]
        files = [self._file(name) for name in _head_files(*key)]
        try:
            network, trained_on = read_head(files[0].parent, head)
        except IntegrityError as exc:
            raise damaged(_head_files(*key)[0], exc.cause) from exc
        if difference := _difference(self._input(backbone), trained_on):
            raise damaged(_head_files(*key)[0], f"feature maps that it was trained on: {difference}")
        if self._keeps:
            self._kept[key] = network
        return network

    def _input(self, backbone: str) -> ModelInput:
        """Return what ``model.json`` says of the feature maps of a backbone."""
        said = self.model.backbones[backbone]
        size = self.model.features.size[backbone]
        return ModelInput(said.feature_shape, said.architecture, str(said.weights["sha256"]), size)

    def _file(self, name: str) -> Path:
        """Return a file that has its checksum now: as it was compared, or else it is compared again.

        A process that was forked from the one that compares has no thread to wait for.
        """
        if os.getpid() == self._process and self._checks[name].result() == file_state(self.folder / name):
            return self.folder / name
        return checked_file(self.folder, name)

    @cached_property
    def _keeps(self) -> bool:
        """Whether all heads stay in memory."""
        files = (self.folder / "heads").rglob("*.safetensors")
        return sum(file.stat().st_size for file in files) <= _KEPT_BYTES

    def _unlike(self, images: Images, view: str) -> Iterator[str]:
        """Say what of the images and their view no pair of the training had."""
        training = self.model.training
        for modality, facts in images.items():
            shape = dict(zip(("slices", "rows", "columns")[-len(facts["shape"]) :], facts["shape"], strict=True))
            for axis, (low, high) in training.ranges.get(modality, {}).items():
                if not low <= shape[axis] <= high:
                    yield f"The {_NAMES[modality]} has {shape[axis]} {axis}; the training had {low} to {high}."
            for key, known in (("kind", training.kinds), ("device", training.devices)):
                found, counts = facts.get(key, ""), known.get(modality, {})
                if found and counts and found not in counts:
                    yield f"No {_NAMES[modality]} of the training was of the {key} {spelled_out(found)!r}."
        if (ends := slice_ends([images])) and training.slice_ends and not ends.keys() & training.slice_ends:
            (here,), there = ends, " or ".join(training.slice_ends)
            yield f"The volume begins at the {here}, those of the training at the {there}: it is pooled in reverse."
        if view and view not in training.views:
            yield f"No pair of the training was of the view {view}."


def points_of(model: Model, p: Probabilities) -> dict[str, OperatingPoints]:
    """Return thresholds and recalibration by classifier, of a pair with these probabilities.

    Those of the ensemble hold for all its heads. Where a pair has an image alone, the ensemble is the head of this
    image and has its points; where other heads are missing, it has none.
    """
    points = dict(model.operating_points)
    voting = [head for head in Head if model.ensemble.weights[head.value] > 0]
    speaking = [head for head in voting if p[head] is not None]
    if speaking != voting:
        points.pop("ensemble", None)
        if len(speaking) == 1 and (of_head := points.get(speaking[0])):
            points["ensemble"] = of_head
    return points


def spelled_out(kind: str) -> str:
    """Return how an image is stored with the name of its transfer syntax instead of the number."""
    return " ".join(UID(word).name if word.startswith("1.2.840.") else word for word in kind.split(" "))


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run(step: Step[Any], folder: Path, *, threads: int = 1) -> None:
    """Call the function of a step on its items, here: in threads, in each of which torch has one of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    payloads = [[item.payload] if step.at_once is not None else item.payload for item in step.items]
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(lambda payload: step.function(payload, folder), payloads))


def _unknown(_: object) -> tuple[int, int, int]:
    raise NotImplementedError  # the size of an output is asked for before work on many cases alone


def _weights(backbone: str) -> str:
    return f"weights/{backbone}.safetensors"


def _difference(expected: ModelInput, found: ModelInput) -> str:
    """Name what is not as expected; empty if all is."""
    wanted, there = asdict(expected), asdict(found)
    return "; ".join(f"expected {key} {wanted[key]}, found {there[key]}" for key in wanted if wanted[key] != there[key])


def _head_files(backbone: str, fold: int, head: Head) -> list[str]:
    return [f"heads/{backbone}/fold{fold}/{head}.{suffix}" for suffix in ("json", "safetensors")]


def _checks(folder: Path, model: Model) -> dict[str, Future[tuple[int, ...]]]:
    """Compare the files with their checksums beside other work, in the order of use; by name the state of each."""
    names = []
    for backbone, trained in model.backbones.items():
        heads = [(fold, head) for fold, of_fold in trained.heads.items() for head in of_fold]
        names += [_weights(backbone), *(file for key in heads for file in _head_files(backbone, *key))]
    thread = ThreadPoolExecutor(1)
    found = {name: thread.submit(_checked_state, folder, name) for name in names}
    thread.shutdown(wait=False)
    return found


def _checked_state(folder: Path, name: str) -> tuple[int, ...]:
    state = file_state(folder / name)  # before it is read: whatever changes it meanwhile is noticed
    checked_file(folder, name)
    return state


def _thresholds(points: Mapping[str, OperatingPoints], folds: Sequence[int]) -> dict[str, Probabilities]:
    """Return thresholds by rule and classifier; those without the patients of a fold, if it is the only one."""
    rules: dict[str, Probabilities] = {"half": dict.fromkeys(CLASSIFIERS, 0.5)}
    for classifier, of_classifier in points.items():
        for rule, threshold in of_classifier.thresholds.items():
            own = of_classifier.of_fold[rule].get(folds[0]) if len(folds) == 1 else None
            rules.setdefault(rule, dict.fromkeys(CLASSIFIERS))[classifier] = threshold if own is None else own
    return rules


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are there; None if there is none."""
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def _decision(p: float | None, threshold: float | None) -> str:
    return "" if p is None or threshold is None else str(Label.MALIGNANT if p >= threshold else Label.BENIGN)


def _voted(fraction: float, mean: float | None) -> str:
    """Return the side of the majority; in a tie the mean probability decides, as in `majority_vote`."""
    return _decision(mean if fraction == 0.5 else fraction, 0.5)


def _stated(images: Images, key: str) -> str:
    return next((facts[key] for facts in images.values() if facts.get(key)), "")


def _contradicted(flags: Sequence[str]) -> Iterator[str]:
    """Say where side or view are in doubt: the flags alone would be overlooked."""
    for flag in flags:
        image, _, name = flag.partition("-")
        if name in ("laterality-of-header", "laterality-of-pixels", "view-of-header"):
            yield f"Side or view of the {_NAMES[Modality(image)]} are in doubt: {FLAGS[name]}."
        elif flag == "chest-wall-on-different-sides":
            yield f"The side is in doubt: {FLAGS[flag]}."


def _missing(images: Images) -> Iterator[str]:
    for modality in Modality:
        if modality not in images:
            yield f"There is no {_NAMES[modality]}: only the head of the other image speaks."


def _familiar(seen: Seen, folds: Sequence[int]) -> Iterator[str]:
    if seen.folds:
        what = "These images are" if seen.pixels else "This patient is"
        yield f"{what} part of the training: only the model of fold {folds[0]} is used, which was not trained on it."
    if seen.patients > 1:
        yield "The images, or an image and the pseudonym, belong to different patients of the training."
    if seen.alike - seen.folds:
        yield "An image resembles one of the training so much that it may be a copy: then the result is too good."
    if seen.name_alike - seen.folds:
        yield "A patient of the training has nearly this pseudonym: if it is the same, the result is too good."
