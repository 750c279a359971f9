"""The state of a training that takes long, between two epochs, so that one that was killed continues."""

import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from dmdbt.files import remove_unfinished, whole_file

_FORMAT, _VERSION = "dmdbt checkpoint", 1


@dataclass
class Checkpoint:
    """One file, which every save replaces.

    Attributes
    ----------
    path
        Of the file.
    key
        Digest of all that decides how the training goes. A state of another key is left alone until it is replaced.
    minutes
        So much time passes at least before a state is written, and between two.
    """

    path: Path
    key: str
    minutes: float
    _last: float = field(default_factory=monotonic)

    def load(self) -> dict[str, Any] | None:
        """Return the last state of this training; None if there is none."""
        remove_unfinished(self.path)
        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
            if (content["format"], content["version"]) != (_FORMAT, _VERSION):
                raise ValueError(f"format {content['format']} {content['version']}")
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as exc:
            expected = f"{self.path.name}: expected a checkpoint of version {_VERSION}"
            print(f"{expected}, got {type(exc).__name__}. The training begins anew.", file=sys.stderr)
            return None
        return content["state"] if content["key"] == self.key else None

    def save(self, state: dict[str, Any]) -> None:
        """Write a state of tensors, numbers, texts, lists and mappings, if it is time."""
        if monotonic() - self._last < 60 * self.minutes:
            return
        with whole_file(self.path) as temporary:
            torch.save({"format": _FORMAT, "version": _VERSION, "key": self.key, "state": state}, temporary)
        self._last = monotonic()

    def remove(self) -> None:
        """Remove the file: the training has ended."""
        self.path.unlink(missing_ok=True)
