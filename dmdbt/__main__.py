"""The command line for what is no stage of the pipeline: ``python -m dmdbt``, or ``dmdbt`` where it is installed."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dmdbt import __version__, params
from dmdbt.entry import INTERRUPTED, report_error
from dmdbt.errors import DmdbtError, ParameterError
from dmdbt.terms import Label

if TYPE_CHECKING:
    from dmdbt import bundle, doctor

_INSTALLED = Path(__file__).parent / "settings"  # a wheel has them inside the package, the repository beside it
SETTINGS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "settings"


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    prog = "dmdbt" if Path(sys.argv[0]).stem == "dmdbt" else "python -m dmdbt"
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--version", action="version", version=f"dmdbt {__version__}")
    commands = parser.add_subparsers(required=True)
    names = sorted(path.stem for path in SETTINGS.glob("*.yaml"))
    settings = commands.add_parser("settings", help="print a file of settings/ as options of `dvc exp run`")
    asked = settings.add_mutually_exclusive_group(required=True)
    asked.add_argument("name", choices=names, nargs="?")
    asked.add_argument("--schema", action="store_true", help="print the JSON schema of params.yaml instead")
    settings.set_defaults(run=_settings)
    plan = commands.add_parser("plan", help="tell what `dvc repro` will cost: disk, hours and memory")
    plan.add_argument("--cohort", type=Path, help="folder with cases.csv; that of the parameters by default")
    plan.add_argument("--params", type=Path, default=params.DEFAULT_PATH)
    plan.add_argument("--setting", choices=names, help="a file of settings/ that changes the parameters")
    plan.set_defaults(run=_plan)
    _add_import(commands)
    _add_table(commands)
    _add_doctor(commands)
    _add_weights(commands, names)
    _add_export(commands)
    _add_predict(commands)
    _add_serve(commands)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen) or 0
    except (DmdbtError, OSError) as error:
        return report_error(error)
    except KeyboardInterrupt:
        return INTERRUPTED


def _settings(chosen: argparse.Namespace) -> None:
    if chosen.schema:
        print(json.dumps(params.json_schema(), indent=2))
        return
    print(" ".join(f"-S {override}" for override in params.overrides(SETTINGS / f"{chosen.name}.yaml")))


def _setting_file(chosen: argparse.Namespace) -> Path | None:
    return SETTINGS / f"{chosen.setting}.yaml" if chosen.setting else None


def _plan(chosen: argparse.Namespace) -> None:
    from dmdbt import planning, running

    setting = _setting_file(chosen)
    cohort = chosen.cohort or params.value("cohort", chosen.params)
    plan = planning.make_plan(cohort, planning.read_settings(chosen.params, setting), Path.cwd())
    room = {"free": shutil.disk_usage(Path.cwd()).free, "memory": running.free_memory()}
    print(planning.plan_text(plan, **room))
    planning.check_room(plan, **room)


def _add_import(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``import``: one subcommand per data set."""
    sets = commands.add_parser("import", help="make a cohort of a public data set").add_subparsers(required=True)
    helps = {
        "tsynth": "T-SYNTH volumes with M-SYNTH mammograms (simulated)",
        "victre": "the VICTRE trial of The Cancer Imaging Archive (simulated)",
        "bcs-dbt": "BCS-DBT of Duke University: tomosynthesis without mammograms",
    }
    for name, text in helps.items():
        parser = sets.add_parser(name, help=text)
        parser.add_argument("source", type=Path, metavar="SOURCE", help="folder with the download")
        parser.add_argument("target", type=Path, metavar="TARGET", help="folder of the cohort to make or to go on with")
        parser.add_argument("--copy", action="store_true", help="copy files instead of hard links")
        parser.add_argument("--incomplete", action="store_true", help="import the rest where something is wrong")
        if name == "bcs-dbt":
            for category in ("normal", "actionable"):
                parser.add_argument(
                    f"--{category}-as", choices=[label.value for label in Label], help="label of such views"
                )
        else:
            parser.add_argument("--unpaired", action="store_true", help="keep what has one of the two images")
        parser.set_defaults(run=_import, set=name)


def _import(chosen: argparse.Namespace) -> None:
    from dmdbt import importers
    from dmdbt.importers import bcs_dbt, tsynth, victre

    importers.check_folders(chosen.source, chosen.target)
    if chosen.set == "bcs-dbt":
        labels = {
            f"{name}_as": Label(value) for name in ("normal", "actionable") if (value := vars(chosen)[f"{name}_as"])
        }
        about, statement = bcs_dbt.ABOUT, bcs_dbt.statement(**labels)
        findings = bcs_dbt.find_pairs(chosen.source, **labels)
    else:
        module = tsynth if chosen.set == "tsynth" else victre
        about, statement = module.ABOUT, module.STATEMENT
        findings = module.find_pairs(chosen.source, unpaired=chosen.unpaired)
    options = {"copy": chosen.copy, "incomplete": chosen.incomplete}
    summary = importers.build_cohort(chosen.target, findings, **options, about=about, statement=statement)
    print(summary, about, sep="\n\n")


def _add_table(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    table = commands.add_parser("table", help="write a first cases.csv for a folder of images, without labels")
    table.add_argument("cohort", type=Path, metavar="COHORT", help="folder with the images, in one folder per patient")
    text = "take Patient ID of the DICOM headers, not the folder; only where it is a pseudonym"
    table.add_argument("--patient-of-header", action="store_true", help=text)
    table.set_defaults(run=_table)


def _table(chosen: argparse.Namespace) -> None:
    from dmdbt.importers.first_table import table_text, write_first_table

    print(table_text(write_first_table(chosen.cohort, patient_of_header=chosen.patient_of_header)))


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser("doctor", help="tell what this machine can do, and what a cohort needs of it")
    doctor.add_argument("cohort", type=Path, nargs="?", metavar="COHORT", help="folder with cases.csv")
    doctor.add_argument("--params", type=Path, default=params.DEFAULT_PATH, help="params.yaml by default")
    doctor.add_argument("--pixels", action="store_true", help="also read every pixel, as the stage ingest does")
    doctor.set_defaults(run=_doctor)


def _doctor(chosen: argparse.Namespace) -> int:
    from dmdbt import doctor

    report = doctor.examine(chosen.params, chosen.cohort)
    if chosen.cohort:
        *parts, last = report.sections
        report = doctor.Report((*parts, _pixels(chosen.cohort, chosen.params, decode=chosen.pixels), last))
    print(doctor.report_text(report))
    return report.exit_code


def _pixels(cohort: Path, path: Path, *, decode: bool) -> "doctor.Section":
    """Examine every case as the stage ingest does, with its limits; nothing is kept."""
    from dmdbt import cohort as cohorts
    from dmdbt import doctor
    from dmdbt.steps.ingest import examine_cohort

    if not decode:
        return doctor.Section("Pixels", ("only headers were read; --pixels reads every pixel too",))
    table = cohorts.read_table(cohorts.table_path(cohort), labels=params.read(params.Labels, path).meaning())
    with tempfile.TemporaryDirectory() as folder:
        facts, problems = examine_cohort(table, cohort, Path(folder), params.read(params.Reading, path))
    faults = [f"case={p.case} {p.role}: {p.code} {p.cause}; {p.remedy}" for p in problems]
    return doctor.Section("Pixels", (f"every pixel of {len(facts)} cases was read",), faults=tuple(faults))


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser("export", help="write what the pipeline has trained as one folder, for dmdbt predict")
    export.add_argument("folder", type=Path, metavar="FOLDER", nargs="?", help="a new folder, or a bundle to replace")
    export.add_argument("--backbones", metavar="NAME,...", help="the first of backbones.names by default")
    export.add_argument("--licence", default="not stated", help="of the bundle, such as its SPDX name")
    export.add_argument("--schema", action="store_true", help="print the JSON schema of model.json instead")
    export.set_defaults(run=_export)


def _export(chosen: argparse.Namespace) -> None:
    from dmdbt import bundle

    if chosen.schema:
        print(json.dumps(bundle.json_schema(), indent=2))
        return
    if chosen.folder is None:
        raise ParameterError("FOLDER", expected="a folder", found=None, remedy="Name one.")
    model = _exported(chosen.folder, chosen.backbones, chosen.licence)
    print(f"{chosen.folder}: {model.line}")


def _exported(folder: Path, backbones: str | None, licence: str) -> "bundle.Model":
    """Export what the repository in this folder has trained, if it is up to date."""
    from dmdbt.bundle import export

    trained = export.Trained(Path())
    names = backbones.split(",") if backbones else params.read(params.Backbones, trained.params).names[:1]
    export.check_up_to_date(trained, names)
    return export.export_bundle(trained, folder, names, licence=licence)


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    predict = commands.add_parser("predict", help="apply a bundle to a new pair, or to a folder of them")
    predict.add_argument("--model", type=Path, metavar="FOLDER", help="a bundle; by default what is trained here")
    predict.add_argument("--dm", type=Path, metavar="FILE", help="mammogram of one pair")
    predict.add_argument("--dbt", type=Path, metavar="FILE", help="volume of one pair, a file or a folder of slices")
    predict.add_argument("--name", help="of the pair; case by default")
    predict.add_argument("--patient", help="pseudonym of the pair's patient: was it part of the training?")
    predict.add_argument("--cohort", type=Path, metavar="FOLDER", help="folder with cases.csv; labels may be missing")
    predict.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="a new folder, or that of a run to go on with"
    )
    predict.add_argument("--jobs", type=int, help="worker processes; as many as there are cores by default")
    predict.add_argument("--no-pages", action="store_true", help="numbers alone: no page, no picture, no heat map")
    predict.add_argument(
        "--dicom",
        action="store_true",
        help="also write a report and the picture as DICOM; they hold the identifiers of the source images",
    )
    predict.set_defaults(run=_predict)


def _predict(chosen: argparse.Namespace) -> int:
    from dmdbt.prediction import PRELOAD
    from dmdbt.running import begin_workers, worker_count

    if bool(chosen.cohort) == bool(chosen.dm or chosen.dbt):
        remedy = "Name a folder, or the files of one pair."
        raise ParameterError(
            "--cohort", expected="either --cohort or --dm and --dbt", found=str(chosen.cohort), remedy=remedy
        )
    for option in ("name", "patient") if chosen.cohort else ():
        if (found := vars(chosen)[option]) is not None:
            remedy = "The table of the cohort names its pairs and patients: leave the option out."
            raise ParameterError(f"--{option}", expected="no such option beside --cohort", found=found, remedy=remedy)
    if chosen.model is None and not params.DEFAULT_PATH.is_file():
        expected, remedy = "a bundle, or a repository that has trained one in this folder", "Name the bundle's folder."
        raise ParameterError("--model", expected=expected, found=None, remedy=remedy)
    if chosen.jobs is not None:
        if chosen.jobs < 1:
            remedy = "Leave it out to use every core."
            raise ParameterError("--jobs", expected="a whole number from 1", found=chosen.jobs, remedy=remedy)
        os.environ["DMDBT_WORKERS"] = str(chosen.jobs)
    worker_count()  # a wrong number is refused before any work
    begin_workers(PRELOAD)  # they take seconds to import: beside what is imported here
    from dmdbt.prediction import command

    with _ended_as_by_ctrl_c(), tempfile.TemporaryDirectory() as temporary:
        if (model := chosen.model) is None:
            model = Path(temporary) / "model"
            try:
                _exported(model, None, "not stated")
            except DmdbtError as error:
                error.add_note("Without --model, the bundle is made of what is trained in this folder.")
                raise
        return command.predict(model, chosen)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Let the signals that end a session or a job do what Ctrl-C does, so that no image of a patient is left."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in (number for number, handler in before.items() if handler is signal.SIG_DFL):
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser("serve", help="predict pairs in a browser, on this machine only")
    serve.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a bundle of dmdbt export")
    serve.add_argument("--port", type=int, default=8765, help="of 127.0.0.1, %(default)s by default; 0: a free one")
    serve.add_argument("--folder", type=Path, metavar="DIR", help="folder of files that may be named by their path")
    serve.set_defaults(run=_serve)


def _serve(chosen: argparse.Namespace) -> None:
    from dmdbt.service import serve

    serve(chosen.model, port=chosen.port, folder=chosen.folder)


def _add_weights(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", names: list[str]) -> None:
    """Add ``weights``: the checkpoints of torchvision."""
    actions = commands.add_parser("weights", help="ImageNet weights on this machine").add_subparsers(required=True)
    for name, text, function in (
        ("fetch", "get checkpoints that are not here", _fetch),
        ("status", "tell where the weights of each backbone come from", _status),
    ):
        parser = actions.add_parser(name, help=text)
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="backbones; by default all that the parameters use"
        )
        parser.add_argument("--params", type=Path, default=params.DEFAULT_PATH)
        parser.add_argument("--setting", choices=names, help="a file of settings/ that changes the parameters")
        parser.set_defaults(run=function)


def _fetch(chosen: argparse.Namespace) -> None:
    from dmdbt.backbones import checkpoint_of
    from dmdbt.backbones.checkpoints import download, find, install

    setting = _setting_file(chosen)
    settings = params.read(params.Backbones, chosen.params, setting)
    used = params.used_weights(chosen.params, setting)
    asked = chosen.names or [name for name in used if settings.source(name) == "imagenet"]
    checkpoints = {name: checkpoint_of(name, settings.resnet_depth) for name in asked}
    for name, checkpoint in checkpoints.items():
        found, here = find(checkpoint), "already "
        if not found:
            print(f"{name}: fetching {checkpoint.name}, {checkpoint.mebibytes:.1f} MiB", flush=True)
            found, here = install(checkpoint) or download(checkpoint), ""
        print(f"{name}: {checkpoint.name} is {here}in the {found.where}")


def _status(chosen: argparse.Namespace) -> int:
    from dmdbt import doctor

    section = doctor.weights(chosen.params, chosen.names, _setting_file(chosen))
    print("\n".join([*section.lines, *(f"MISSING {item}" for item in section.missing)]))
    return doctor.Report((section,)).exit_code


if __name__ == "__main__":
    raise SystemExit(main())
