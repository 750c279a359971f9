"""Words and identifiers of the objects that are written."""

import hashlib
import json
import uuid

from dmdbt.terms import Modality

NAMES = {Modality.DM: "mammogram", Modality.DBT: "tomosynthesis volume"}


def cohort_sentence(simulated: bool | None) -> str:
    """Say whether the training cohort was simulated."""
    return {
        True: "The training cohort was simulated.",
        False: "The training cohort was not simulated.",
        None: "It is not stated whether the training cohort was simulated.",
    }[simulated]


def legal_text(text: str) -> str:
    """Return text of one line that UTF-8 can encode and DICOM allows (PS3.5, 6.1.3), never empty."""
    spaced = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in spaced) or "-"


def uid(*parts: object) -> str:
    """Return a UID below 2.25 (PS3.5, B.2) that depends on nothing but the parts, which JSON can hold."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
