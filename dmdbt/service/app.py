"""Addresses of the service, and what is answered there."""

import time
from asyncio import CancelledError, create_task
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dmdbt import __version__
from dmdbt.bundle import Model, read_model
from dmdbt.cohort import rule_broken
from dmdbt.prediction.text import closing_lines
from dmdbt.service.cases import Case, Cases
from dmdbt.service.guard import Guard
from dmdbt.service.permitted import permitted_path
from dmdbt.service.refused import RefusedError
from dmdbt.service.upload import PAUSE, Received, bad_form, receive
from dmdbt.terms import Laterality, Modality, View
from dmdbt.viewer.page import inlined

# Style of the pages of results, and what is added for ours.
_FILES = {
    "/viewer.css": ("dmdbt.viewer", "viewer.css", "text/css"),
    "/service.css": ("dmdbt.service", "service.css", "text/css"),
    "/service.js": ("dmdbt.service", "service.js", "text/javascript"),
}
_CHOICES = {"laterality": Laterality, "view": View}


def create_app(
    bundle: Path,
    folder: Path,
    *,
    port: int,
    permitted: Path | None,
    most_waiting: int = 4,
    most_kept: int = 20,
    pause: float = PAUSE,
) -> ASGIApp:
    """Return the service as an ASGI application, with a lifespan that ends its work and removes its folder.

    Parameters
    ----------
    bundle
        What ``dmdbt export`` has written.
    folder
        A temporary folder, which exists; nothing is written elsewhere.
    port
        At which it can be reached, see `Guard`.
    permitted
        Folder of the files that a form may name; None: none.
    most_waiting, most_kept
        See `Cases`.
    pause
        See `receive`.

    Raises
    ------
    IntegrityError
        The bundle is damaged.
    """
    model = read_model(bundle)
    cases = Cases(bundle, folder, seconds=model.reading.seconds, most_waiting=most_waiting, most_kept=most_kept)
    service = _Service(model, cases, permitted, pause)
    routes = [
        Route("/", service.form),
        Route("/cases", service.send, methods=["POST"]),
        Route("/results/{case_id}.json", service.numbers),
        Route("/results/{case_id}", service.page),
        *(Route(address, _file) for address in _FILES),
    ]
    handlers = {RefusedError: service.refuse, HTTPException: service.refuse_address}
    return Guard(Starlette(routes=routes, exception_handlers=handlers, lifespan=service.lifespan), port)


class _Service:
    def __init__(self, model: Model, cases: Cases, permitted: Path | None, pause: float) -> None:
        self._model, self._cases, self._permitted, self._pause = model, cases, permitted, pause

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        work = create_task(self._cases.run())
        try:
            yield
        finally:
            work.cancel()
            with suppress(CancelledError):
                await work

    async def form(self, _: Request) -> Response:
        return self._shown("form", permitted=self._permitted is not None, reading=self._model.reading)

    async def send(self, request: Request) -> Response:
        """Take a pair, and lead to its result."""
        case = self._cases.add()
        try:
            sent = case.folder / "sent"
            sent.mkdir()
            content_type = request.headers.get("content-type", "")
            received = await receive(request.stream(), content_type, sent, self._model.reading, pause=self._pause)
            files = await self._files(received)
            texts = {name: received.texts.get(name, "") for name in ("patient", *_CHOICES)}
            _check(texts)
        except ClientDisconnect:
            self._cases.remove(case)
            return Response()  # to nobody
        except BaseException:
            self._cases.remove(case)
            raise
        case.sent = received.sent
        patient = texts.pop("patient")
        self._cases.submit(case, files, patient_id=patient, **texts)
        return RedirectResponse(f"/results/{case.case_id}", status_code=303)

    async def page(self, request: Request) -> Response:
        case = self._case(request)
        if not case.finished:
            seconds = case.started and time.monotonic() - case.started
            return self._shown("waiting", case=case, before=self._cases.before(case), seconds=seconds)
        policy = inlined("viewer.css", "viewer.js")["policy"] + "; frame-ancestors 'none'"
        return FileResponse(case.page, media_type="text/html", headers={"Content-Security-Policy": policy})

    async def numbers(self, request: Request) -> Response:
        case = self._case(request)
        if not case.finished:
            return JSONResponse({"state": "working" if case.started else "waiting"}, status_code=202)
        return FileResponse(case.numbers, media_type="application/json")

    async def refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        if request.url.path.endswith(".json"):
            content = {"error": {"code": error.code, "cause": error.cause, "remedy": error.remedy}}
            return JSONResponse(content, error.status, headers)
        case = self._cases.find(request.path_params.get("case_id", ""))
        return self._shown("refused", error.status, headers, error=error, case=case)

    async def refuse_address(self, request: Request, error: Exception) -> Response:
        """Refuse what no address answers, or not in this way."""
        assert isinstance(error, HTTPException)
        cause, remedy = "expected an address of this service, found another", "Go to the first page."
        return await self.refuse(request, RefusedError(error.status_code, "ADDRESS", cause=cause, remedy=remedy))

    def _case(self, request: Request) -> Case:
        """Return the case of an address that has a result, or will have one."""
        case = self._cases.find(request.path_params["case_id"])
        if case is None or not case.submitted:
            cause = "expected the address of a result that is still kept, found another"
            raise RefusedError(404, "RESULT", cause=cause, remedy="Send the pair again.")
        if failure := case.failure:
            raise RefusedError(failure.status, failure.code, cause=failure.cause, remedy=failure.remedy)
        return case

    async def _files(self, received: Received) -> dict[str, Path]:
        files: dict[str, Path] = {}
        for modality in Modality:
            sent, text = received.files.get(modality), received.texts.get(f"{modality}_path", "")
            if sent and text:
                raise bad_form(f"expected a file or a path for {modality}, found both")
            if text:
                files[modality] = await run_in_threadpool(permitted_path, self._permitted, text)
            elif sent:
                files[modality] = sent
        if not files:
            raise RefusedError(
                422, "FORM-EMPTY", cause="expected a mammogram, a volume or both, found none", remedy="Choose a file."
            )
        return files

    def _shown(
        self, name: str, status: int = 200, headers: dict[str, str] | None = None, **content: object
    ) -> Response:
        meaning, notice = closing_lines(self._model.training.simulated)
        known = {"model": self._model.line, "meaning": meaning, "notice": notice}
        page = _templates().get_template(f"{name}.html.jinja").render(known | content)
        return HTMLResponse(page, status, headers)


def _check(texts: dict[str, str]) -> None:
    """Refuse a pseudonym that cannot be one, and a side or view that is none."""
    expected = {name: ", ".join(choices) for name, choices in _CHOICES.items() if texts[name] not in ["", *choices]}
    if texts["patient"] and (broken := rule_broken(texts["patient"])):
        expected["patient"] = broken
    for name, rule in expected.items():
        cause = f"{name}: expected {rule}, found {texts[name]!r}"
        raise RefusedError(422, "FORM-VALUE", cause=cause, remedy="Choose another, or leave it empty.")


async def _file(request: Request) -> Response:
    package, name, kind = _FILES[request.url.path]
    text = (resources.files(package) / "templates" / name).read_text(encoding="utf-8")
    return Response(text, media_type=kind)


@cache
def _templates() -> Environment:
    loader = PackageLoader("dmdbt.service")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals["version"] = __version__
    return made
