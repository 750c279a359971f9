"""The form as it streams in: its files go to disk under names of ours, and stop at the limits of the readers."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dmdbt.params import Reading
from dmdbt.service.refused import RefusedError
from dmdbt.terms import Modality

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

TEXTS = ("patient", "laterality", "view", "dm_path", "dbt_path")
_LONGEST_TEXT, _LONGEST_NAME = 4096, 200  # bytes of a field; characters of a file's name
_OTHER_PARTS = 10  # of a form, at most, beside the slices
PAUSE = 20.0  # seconds; four stalled senders are all that may wait, and nobody else could send
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


@dataclass
class Received:
    """A form.

    Attributes
    ----------
    texts
        By field of `TEXTS`; those that were not filled in are missing.
    files
        By modality its file, or the folder of its slices.
    sent
        By our name of a file the one that it was sent with: text of others.
    """

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[Modality, Path] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)


async def receive(
    stream: AsyncGenerator[bytes, None], content_type: str, folder: Path, reading: Reading, *, pause: float = PAUSE
) -> Received:
    """Read a form of the type ``multipart/form-data``.

    Parameters
    ----------
    stream
        The body of the request.
    content_type
        Its header.
    folder
        Where to write the files; it exists and is empty.
    reading
        ``file_gib`` bounds the files of a modality, ``slices`` their number.
    pause
        Seconds in which the sender may send nothing.

    Raises
    ------
    RefusedError
        400: no such form, or a part of one. 408: a pause. 413: too large. 507: the disk is full.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise bad_form("expected multipart/form-data, found another type")
    form = _Form(folder, reading)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), form.callbacks())
        while not form.ended and (chunk := await _next(stream, pause)) is not None:
            parser.write(chunk)  # at most 64 KiB: to leave it to a thread would take longer than to write it
    except FormParserError as exc:
        raise bad_form("expected multipart/form-data, found damage") from exc
    except OSError as exc:
        cause = f"expected room for the files in the temporary folder, found: {exc.strerror}"
        raise RefusedError(
            507, "DISK", cause=cause, remedy="Free disk space, or set TMPDIR to another folder."
        ) from exc
    finally:
        form.close()
    if not form.ended:
        raise bad_form("expected a whole form, found a part of one")
    return form.received()


def own_name(name: str) -> str:
    """Return a name of ours for a slice: the numbers of the name that was sent, and a digest of the rest.

    So the reader of the folder sees the order, the gaps and the differences of the names that were sent, and no
    character of theirs but digits.
    """
    parts = re.split("([0-9]+)", name)
    digest = sha256("/".join(parts[::2]).encode()).hexdigest()[:16].translate(_LETTERS)
    return "-".join([digest, *parts[1::2]])


def bad_form(cause: str) -> RefusedError:
    """Return the refusal of a form that is not as the page makes it."""
    return RefusedError(400, "FORM", cause=cause, remedy="Use the form, or send what it sends: see docs/serve.md.")


async def _next(stream: AsyncGenerator[bytes, None], seconds: float) -> bytes | None:
    try:
        async with asyncio.timeout(seconds):
            return await anext(stream, None)
    except TimeoutError as exc:
        cause = f"expected the files without a pause of {seconds:g} s, found one"
        raise RefusedError(408, "UPLOAD-TIME", cause=cause, remedy="Send them again.") from exc


class _Form:
    """Callbacks of the parser, part by part."""

    def __init__(self, folder: Path, reading: Reading) -> None:
        self.ended = False
        self._folder, self._reading = folder, reading
        self._received = Received()
        self._n_parts = 0
        self._named: set[str] = set()  # the fields of text
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        self._take: Callable[[bytes], None] = lambda _: None  # the data of the part
        self._file: BinaryIO | None = None
        self._bytes = dict.fromkeys(Modality, 0)

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def close(self) -> None:
        """Close the file of the part, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def received(self) -> Received:
        slices = self._folder / "slices"
        if Modality.DBT in self._received.files and len(files := list(slices.iterdir())) == 1:
            sent = self._received.sent.pop(files[0].name)
            self._received.files[Modality.DBT] = files[0].rename(self._folder / _plain_name("volume", sent))
            self._received.sent["volume"] = sent
        return self._received

    def _begin(self) -> None:
        self._n_parts += 1
        self._check(self._n_parts - _OTHER_PARTS, self._reading.slices, "slices", "slices")
        self._disposition = b""

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("ascii", "replace")
        if b"filename" in options:
            sent = re.split(r"[/\\]", options[b"filename"].decode("utf-8", "replace"))[-1]
            self._take = self._to_file(name, sent)
        elif name in TEXTS:
            self._take = self._to_text(name)
        else:
            raise bad_form("expected the fields of the page, found another")

    def _end(self) -> None:
        self.ended = True

    def _to_text(self, name: str) -> Callable[[bytes], None]:
        if name in self._named:
            raise bad_form(f"expected the field {name} once, found it twice")
        self._named.add(name)
        content = bytearray()

        def take(data: bytes) -> None:
            content.extend(data)
            if len(content) > _LONGEST_TEXT:
                raise bad_form(f"expected at most {_LONGEST_TEXT} bytes of text in a field, found more")
            self._received.texts[name] = content.decode("utf-8", "replace").strip()

        return take

    def _to_file(self, name: str, sent: str) -> Callable[[bytes], None]:
        if name not in list(Modality):
            raise bad_form("expected the files dm and dbt, found another")
        modality = Modality(name)
        # Nothing was chosen, or a file manager has left it in the folder.
        ignored = not sent or (modality is Modality.DBT and sent.startswith("."))
        file = self._file = None if ignored else self._open(modality, sent)

        def take(data: bytes) -> None:
            self._bytes[modality] += len(data)
            self._check(self._bytes[modality] / 2**30, self._reading.file_gib, "file_gib", f"GiB of {modality}")
            if file is not None:
                file.write(data)

        return take

    def _open(self, modality: Modality, sent: str) -> BinaryIO:
        if len(sent) > _LONGEST_NAME:
            raise bad_form(f"expected a file name of at most {_LONGEST_NAME} characters, found one of {len(sent)}")
        files, folder = self._received.files, self._folder / "slices"
        if modality is Modality.DM:
            own, what = "mammogram", "mammogram"
            path = files[modality] = self._folder / _plain_name(own, sent)
        else:
            own, what = own_name(sent), "slice of each name"
            files[modality] = folder
            folder.mkdir(exist_ok=True)
            path = folder / own
        if own in self._received.sent:
            raise bad_form(f"expected one {what}, found two")
        self._received.sent[own] = sent
        return path.open("xb")

    def _check(self, value: float, limit: float, name: str, what: str) -> None:
        if value > limit:
            cause = f"expected {what} up to {limit:g} (reading.{name} of the bundle), found more"
            raise RefusedError(
                413, "TOO-LARGE", cause=cause, remedy="Check the files; the bundle decides what it reads."
            )


def _plain_name(stem: str, sent: str) -> str:
    """Return a name with the suffix that was sent, if it is an ordinary one: readers name it in errors."""
    suffix = Path(sent).suffix.lower()
    return stem + (suffix if _SUFFIX.fullmatch(suffix) else "")
