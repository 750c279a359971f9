"""The command line for what is no stage of the pipeline: ``python -m dmdbt``."""

import argparse
import sys
from pathlib import Path

from dmdbt.errors import DmdbtError
from dmdbt.params import overrides

SETTINGS = Path(__file__).parents[1] / "settings"


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dmdbt")
    commands = parser.add_subparsers(dest="command", required=True)
    settings = commands.add_parser("settings", help="print a file of settings/ as options of `dvc exp run`")
    settings.add_argument("name", choices=sorted(path.stem for path in SETTINGS.glob("*.yaml")))
    chosen = parser.parse_args(arguments)
    try:
        print(" ".join(f"-S {override}" for override in overrides(SETTINGS / f"{chosen.name}.yaml")))
    except DmdbtError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
