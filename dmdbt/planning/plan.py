"""The cost of a ``dvc repro`` from nothing: bytes by shapes, hours by timing, and whether this machine has enough."""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dmdbt import params
from dmdbt.cohort import Case, read_table, table_path
from dmdbt.errors import SystemResourceError, TableError, error_context
from dmdbt.heads import training_bytes
from dmdbt.planning import costs, sizes
from dmdbt.planning.hardware import recording, reflinks, starting
from dmdbt.readers import Limits, open_volume
from dmdbt.running import Step, feature_memory, training_width, worker_count
from dmdbt.steps.decode import decode_step
from dmdbt.steps.features import features_step
from dmdbt.steps.ingest import ingest_step
from dmdbt.steps.mammogram import mammogram_step
from dmdbt.steps.rankpool import rankpool_step
from dmdbt.steps.train import head_settings
from dmdbt.terms import Head, Modality

_STAGES_PER_BACKBONE = 4
_OTHER_STAGES = 8  # ingest, split, mammogram, decode, rankpool, summary, tables, report
_CARDS = (8, 24, 40, 80)  # gigabytes of memory, of which torch and the driver take `_CONTEXT` bytes
_CONTEXT = 600 * 2**20
_JPEG_MARGIN = 1.5  # of the size of the slices of cases that were not decoded


@dataclass(frozen=True)
class PlanSettings:
    """The sections of ``params.yaml`` that decide what the work costs."""

    reading: params.Reading
    labels: params.Labels
    split: params.Split
    mammogram: params.Mammogram
    decode: params.Decode
    rankpool: params.Rankpool
    backbones: params.Backbones
    weights: params.Weights
    features: params.Features
    heads: params.Heads
    train: params.Train
    baselines: params.Baselines


@dataclass(frozen=True)
class Line:
    """Cost of one stage: items, bytes of output, seconds from start to end, bytes of memory at one time."""

    stage: str
    items: int
    output: int
    seconds: float
    memory: int


@dataclass(frozen=True)
class Plan:
    """Cost of all stages."""

    n_pairs: int
    n_patients: int
    lines: tuple[Line, ...]
    copies: int  # of a cached output on the disk: 2, or 1 where DVC's cache shares its content
    notes: tuple[str, ...] = ()  # how the numbers were found, where a line cannot tell

    @property
    def disk(self) -> int:
        """Bytes that all outputs take, DVC's cache included."""
        return self.copies * sum(line.output for line in self.lines)

    @property
    def seconds(self) -> float:
        """Duration of the whole run: DVC runs one stage at a time."""
        return sum(line.seconds for line in self.lines)

    @property
    def largest(self) -> Line:
        """The stage that needs the most memory."""
        return max(self.lines, key=lambda line: line.memory)


def read_settings(path: Path, setting: Path | None = None) -> PlanSettings:
    """Read ``params.yaml``, changed by a file of ``settings/``."""
    sections = {name: params.SECTIONS[name] for name in PlanSettings.__annotations__}
    return PlanSettings(**{name: params.read(section, path, setting) for name, section in sections.items()})


def make_plan(cohort: Path, settings: PlanSettings, folder: Path) -> Plan:
    """Time the work on as many pairs of a cohort as there are workers, and work out what all pairs cost.

    Parameters
    ----------
    cohort
        Nothing but its files is needed: no stage need have run.
    settings
        See `read_settings`.
    folder
        On the disk that will hold the outputs. It is left as it was.

    Raises
    ------
    DmdbtError
        The table or a file that is timed is not what it should be.
    """
    try:
        cases = read_table(table_path(cohort), labels=settings.labels.meaning())
    except TableError as exc:
        exc.add_note("The simulated cohort is made by: dvc repro data/phantom/dvc.yaml")
        raise
    with tempfile.TemporaryDirectory(dir=folder, prefix=".plan.tmp") as name:
        planner = _Planner(cohort, cases, settings, Path(name))
        lines = [*planner.case_stages()]
        for backbone in settings.backbones.names:
            lines += planner.backbone_stages(backbone)
        lines.append(planner.dvc(lines))
    copies = 1 if reflinks(folder) else 2
    notes = tuple(f"{stage}: {note}" for stage, note in planner.notes.items())
    return Plan(len(cases), len({case.patient_id for case in cases}), tuple(lines), copies, notes)


def check_room(plan: Plan, *, free: int, memory: int) -> None:
    """Refuse a plan for which the bytes free on the disk, or those of the machine's memory, do not suffice.

    Raises
    ------
    SystemResourceError
        With what is needed and what there is.
    """
    faults = []
    if plan.disk > free:
        copy = "" if plan.copies == 1 else ", or use a file system with reflinks, where DVC's cache needs no space"
        faults.append(f"disk: expected {size_text(plan.disk)} free, found {size_text(free)}. Free space{copy}.")
    if plan.largest.memory > memory:
        faults.append(
            f"memory: expected {size_text(plan.largest.memory)} for {plan.largest.stage}, found {size_text(memory)}. "
            "Set DMDBT_WORKERS to a smaller number, or lower DMDBT_MEMORY_GIB or train.batch_size."
        )
    if faults:
        raise SystemResourceError("\n".join(faults))


def size_text(n_bytes: float) -> str:
    """Return bytes in GiB or MiB."""
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.1f} MiB"


def time_text(seconds: float) -> str:
    """Return seconds in hours, minutes or seconds."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def plan_text(plan: Plan, *, free: int, memory: int) -> str:
    """Return a plan as a table and what it means for the disk and the memory of this machine."""
    header = f"{plan.n_pairs} pairs of {plan.n_patients} patients, {worker_count()} worker processes"
    lines = [header, f"{'stage':<20}{'items':>8}{'output':>12}{'time':>12}{'memory':>12}"]
    for line in plan.lines:
        numbers = f"{size_text(line.output):>12}{time_text(line.seconds):>12}{size_text(line.memory):>12}"
        lines.append(f"{line.stage:<20}{line.items:>8}{numbers}")
    output = plan.disk // plan.copies
    kept = "DVC's cache shares their space (reflinks)" if plan.copies == 1 else "DVC's cache holds a second copy"
    disk, largest = f"{size_text(plan.disk)} of disk, {size_text(free)} free", plan.largest
    peak = f"{size_text(largest.memory)} in {largest.stage}, {size_text(memory)} in this machine"
    lines += [
        f"time: {time_text(plan.seconds)} from nothing, by {costs.TIMED_TEXT}",
        f"disk: outputs {size_text(output)}, {kept}: {disk}: {_verdict(plan.disk, free)}",
        f"memory: {peak}: {_verdict(largest.memory, memory)}",
        *plan.notes,
    ]
    return "\n".join(lines)


def _verdict(needed: int, there: int) -> str:
    return "fits" if needed <= there else f"{size_text(needed - there)} are missing"


class _Planner:
    """The lines of a plan, from the timed pairs, whose outputs lie in `folder` from stage to stage."""

    def __init__(self, cohort: Path, cases: Sequence[Case], settings: PlanSettings, folder: Path) -> None:
        self.cohort, self.cases, self.settings, self.folder = cohort, cases, settings, folder
        self.workers = worker_count()
        self.timed = _sample(cases, self.workers)
        self.base = costs.own_peak()
        volumes = _having(Modality.DBT, cases)
        self.shapes = dict(_volume_shapes(cohort, volumes, Limits(**asdict(settings.reading))))
        self.notes = {f"baseline@{name}": "not counted" for name in settings.baselines.names}

    def case_stages(self) -> Iterator[Line]:
        """Ingest to rankpool."""
        s = self.settings
        yield self._line("ingest", 0, lambda cases: ingest_step(cases, self.cohort, s.reading))
        mammograms = len(_having(Modality.DM, self.cases)) * sizes.mammogram_bytes(s.mammogram.size)
        yield self._line(
            "mammogram", mammograms, lambda cases: mammogram_step(cases, self.cohort, s.mammogram, s.reading)
        )
        decode = self._line("decode", 0, self._decode_step)
        density = self._density()
        slices = sum(sizes.slices_bytes(*shape, bytes_per_pixel=density) for shape in self.shapes.values())
        yield replace(decode, output=slices)
        dynamic = sum(sizes.dynamic_bytes(*shape) for shape in self.shapes.values())
        yield self._line("rankpool", dynamic, lambda cases: rankpool_step(cases, self.folder / "decode", s.rankpool))

    def backbone_stages(self, name: str) -> Iterator[Line]:
        """Weights, features and training of one backbone."""
        s, weights = self.settings, self.folder / f"{name}.safetensors"
        size = params.for_backbone(s.features.size, name, key="features.size")
        costs.random_weights(weights, name, s.backbones.resnet_depth)
        shape, n_weights = sizes.backbone_sizes(name, s.backbones.resnet_depth, size)
        seconds = self._pretraining(name)
        yield Line(f"weights@{name}", 1, n_weights, seconds, (costs.own_peak() if seconds else self.base) + n_weights)
        images = {Modality.DM: self.folder / "mammogram", Modality.DBT: self.folder / "rankpool"}
        n_images = sum(len(case.modalities) for case in self.cases)
        n_bytes = sizes.features_bytes(shape, len(s.features.augmentations)) * n_images
        yield self._line(
            f"features@{name}",
            n_bytes,
            lambda cases: features_step(name, cases, images, weights, s.backbones, s.features),
        )
        heads = head_settings(s.heads)
        of_heads = training_bytes(shape, heads, s.train.batch_size, mixed=s.train.precision == "mixed")
        at_once, threads = training_width(len(s.split.test_folds), of_heads, 0)
        held = n_bytes * at_once <= feature_memory()
        models = len(s.split.test_folds) * sizes.models_bytes(shape, heads)
        self.notes[f"train@{name}"] = _on_a_card(of_heads)
        fold = of_heads + (n_bytes if held else 0)
        yield Line(
            f"train@{name}",
            len(s.split.test_folds),
            models + sizes.tables_bytes(len(self.cases), len(s.features.augmentations)),
            self._training(name, shape, at_once=at_once, threads=threads, held=held),
            at_once * (fold + self.base) + 2 * self.base,
        )

    def dvc(self, lines: Sequence[Line]) -> Line:
        """Return the cost that DVC adds: the start of every stage, and the hash and the copy of every output."""
        n_stages = _OTHER_STAGES + _STAGES_PER_BACKBONE * len(self.settings.backbones.names)
        output = sum(line.output for line in lines)
        return Line("dvc", n_stages, 0, n_stages * starting() + output * recording(self.folder), self.base)

    def _decode_step(self, cases: Sequence[Case]) -> Step[Case]:
        s = self.settings
        return decode_step(cases, self.cohort, s.decode, s.reading, shape=lambda case: self.shapes[case.case_id])

    def _line(self, stage: str, output: int, make: Callable[[Sequence[Case]], Step[Any]]) -> Line:
        """A stage that works item by item in all workers, timed on the items of the sample."""
        n_items, sample = len(make(self.cases).items), make(self.timed)
        if not sample.items:
            return Line(stage, 0, output, 0.0, self.base)
        cost = costs.item_cost(sample, self.folder / stage)
        # The stage itself and the server that forks the workers hold the same imports as a worker.
        memory = min(self.workers, n_items) * cost.memory + 2 * self.base
        return Line(stage, n_items, output, -(-n_items // self.workers) * cost.seconds, memory)

    def _density(self) -> float:
        """Bytes per pixel of the JPEG slices, with a margin."""
        found = [0.0]  # there may be no volume
        for case in _having(Modality.DBT, self.timed):
            files = (self.folder / "decode" / case.case_id).glob("*.jpg")
            found.append(sum(file.stat().st_size for file in files) / math.prod(self.shapes[case.case_id]))
        return _JPEG_MARGIN * max(found)

    def _pretraining(self, name: str) -> float:
        """Seconds; weights that come from a file cost none worth a line."""
        w, backbones = self.settings.weights, self.settings.backbones
        if backbones.source(name) != "procedural":
            return 0.0
        steps = params.for_backbone(w.steps, name, key="weights.steps")
        step = costs.pretraining_step(name, backbones.resnet_depth, batch_size=w.batch_size, image_size=w.image_size)
        return steps * step

    def _training(self, name: str, shape: tuple[int, int, int], *, at_once: int, threads: int, held: bool) -> float:
        """Seconds of all folds."""
        s = self.settings
        n_copies, n_folds = len(s.features.augmentations), len(s.split.test_folds)
        targets = [case.label.target for case in self.cases]
        steps = s.train.epochs * sizes.training_steps(
            targets, n_folds=s.split.folds, n_copies=n_copies, batch_size=s.train.batch_size
        )
        loading = partial(costs.loading, folder=self.folder / f"features@{name}", held=held)
        read = costs.measure(loading, self.timed, description=f"loading {name}", name=lambda case: case.case_id)
        # Held, every pair is read once per fold; streamed, one copy of a pair is read for every sample.
        reading = read.seconds * (len(self.cases) if held else steps * s.train.batch_size)
        fold = steps * sum(self._head_step(name, head, shape, at_once=at_once, threads=threads) for head in Head)
        return -(-n_folds // at_once) * (fold + reading)

    def _head_step(self, name: str, head: Head, shape: tuple[int, int, int], *, at_once: int, threads: int) -> float:
        s, (channels, rows, columns) = self.settings, shape
        heads = head_settings(s.heads)
        parameters = sizes.head_parameters(head, shape, heads)
        fewer = costs.rows_to_time(shape, parameters)
        if fewer < rows:
            note = f"timed on {fewer} of {rows} rows of the feature maps and multiplied"
            self.notes[f"train@{name}, {head}"] = note
        step = partial(
            costs.training_step,
            head=head,
            shape=(channels, fewer, columns),
            settings=heads,
            batch_size=s.train.batch_size,
            threads=threads,
        )
        cost = costs.measure(step, s.split.test_folds[:at_once], description=f"{head} head of {name}", name=str)
        return cost.seconds * (rows - 1) / (fewer - 1)


def _on_a_card(n_bytes: int) -> str:
    fits = [str(card) for card in _CARDS if n_bytes + _CONTEXT <= card * 10**9]
    room = f"enough room on one of {fits[0]} GB" if fits else f"no room on one of {_CARDS[-1]} GB: lower heads.filters"
    return f"heads take {size_text(n_bytes)} of a card's memory: {room}"


def _having(modality: Modality, cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if modality in case.modalities]


def _sample(cases: Sequence[Case], number: int) -> list[Case]:
    """Cases to time, spread over the table: complete ones, or where there are none, as many of either kind."""
    complete = [case for case in cases if case.modalities == tuple(Modality)]
    kinds = [complete] if complete else [_having(modality, cases) for modality in Modality]
    return [case for kind in kinds for case in kind[:: max(1, len(kind) // number)][:number]]


def _volume_shapes(cohort: Path, cases: Sequence[Case], limits: Limits) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Case and (T, H, W) of every volume, by its header."""
    for case in tqdm(cases, desc="headers", unit="case", disable=None):
        with error_context(case=case.case_id, file=case.dbt), open_volume(cohort / case.dbt, limits) as volume:
            yield case.case_id, (volume.n_slices, volume.rows, volume.columns)
