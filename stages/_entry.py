"""The command line of every stage, made from the signature of its `main`."""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from dmdbt import params
from dmdbt.errors import DmdbtError

_INTERRUPTED = 130


def run(main: Callable[..., None]) -> None:
    """Call a stage's `main` with what the command line and ``params.yaml`` say, and exit.

    A parameter of `main` whose type is a section of `dmdbt.params` is read from ``params.yaml``; every other one
    (paths and the backbone's name) becomes a required option. Exit codes are those of `dmdbt.errors`.
    """
    parameters = inspect.signature(main).parameters
    sections = {name: p.annotation for name, p in parameters.items() if p.annotation in params.SECTIONS.values()}
    parser = argparse.ArgumentParser(description=inspect.getdoc(main))
    for name in (name for name in parameters if name not in sections):
        parser.add_argument(f"--{name.replace('_', '-')}", type=parameters[name].annotation, required=True)
    parser.add_argument("--params", type=Path, default=params.DEFAULT_PATH)
    arguments = vars(parser.parse_args())
    path = arguments.pop("params")
    try:
        main(**arguments, **{name: params.read(section, path) for name, section in sections.items()})
    except DmdbtError as error:
        print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
