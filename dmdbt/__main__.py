"""The command line for what is no stage of the pipeline: ``python -m dmdbt``."""

import argparse
import shutil
import sys
from pathlib import Path

from dmdbt import params
from dmdbt.errors import DmdbtError

SETTINGS = Path(__file__).parents[1] / "settings"


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dmdbt")
    commands = parser.add_subparsers(required=True)
    names = sorted(path.stem for path in SETTINGS.glob("*.yaml"))
    settings = commands.add_parser("settings", help="print a file of settings/ as options of `dvc exp run`")
    settings.add_argument("name", choices=names)
    settings.set_defaults(run=_settings)
    plan = commands.add_parser("plan", help="tell what `dvc repro` will cost: disk, hours and memory")
    plan.add_argument("--cohort", type=Path, help="folder with cases.csv; that of the parameters by default")
    plan.add_argument("--params", type=Path, default=params.DEFAULT_PATH)
    plan.add_argument("--setting", choices=names, help="a file of settings/ that changes the parameters")
    plan.set_defaults(run=_plan)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except DmdbtError as error:
        print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
        return error.exit_code
    return 0


def _settings(chosen: argparse.Namespace) -> None:
    print(" ".join(f"-S {override}" for override in params.overrides(SETTINGS / f"{chosen.name}.yaml")))


def _plan(chosen: argparse.Namespace) -> None:
    from dmdbt import planning, running  # here, for they import torch

    setting = SETTINGS / f"{chosen.setting}.yaml" if chosen.setting else None
    cohort = chosen.cohort or params.cohort_folder(chosen.params)
    plan = planning.make_plan(cohort, planning.read_settings(chosen.params, setting), Path.cwd())
    room = {"free": shutil.disk_usage(Path.cwd()).free, "memory": running.free_memory()}
    print(planning.plan_text(plan, **room))
    planning.check_room(plan, **room)


if __name__ == "__main__":
    raise SystemExit(main())
