"""Start the service, and end it."""

import signal
import socket
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dmdbt.bundle import check_all, read_model
from dmdbt.errors import ParameterError, SystemResourceError
from dmdbt.prediction.text import closing_lines

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Server

PORT = 8765
_NEEDED = ("starlette", "uvicorn", "python_multipart")
_LAST_PORT = 65535


def serve(bundle: Path, *, port: int = PORT, folder: Path | None = None) -> None:
    """Serve pages that predict pairs, at 127.0.0.1, until Ctrl-C.

    There is no option for another address, and there will be none: the service knows no users and no passwords, its
    traffic is not encrypted, and what is sent to it are images of patients. From another machine it is reached
    through ``ssh -L 8765:localhost:8765``, which has all three.

    Parameters
    ----------
    bundle
        What ``dmdbt export`` has written.
    port
        0: one that is free.
    folder
        Whose files the form may name; None: it takes only files that are sent.

    Raises
    ------
    ParameterError
        There is no such port or folder.
    SystemResourceError
        Starlette, uvicorn or python-multipart is not installed, or the port is in use.
    IntegrityError
        The bundle is damaged.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise SystemResourceError(f"expected {', '.join(missing)}, found none. Run: pip install 'dmdbt[serve]'")
    if not 0 <= port <= _LAST_PORT:
        raise ParameterError("--port", expected=f"0 to {_LAST_PORT}", found=port, remedy="Choose another.")
    if folder is not None and not folder.is_dir():
        raise ParameterError("--folder", expected="a folder", found=str(folder), remedy="Correct the path.")
    model = read_model(bundle)
    check_all(bundle)
    from dmdbt.service.app import create_app

    with _listening(port) as listening, TemporaryDirectory(prefix="dmdbt-serve-") as temporary:
        port = listening.getsockname()[1]
        app = create_app(bundle.absolute(), Path(temporary), port=port, permitted=folder)
        print(f"{model.line}\n" + "\n".join(closing_lines(model.training.simulated)))
        print(f"Open http://127.0.0.1:{port}/ in a browser of this machine. Ctrl-C ends the service.", flush=True)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            # A terminal that is closed ends the service as Ctrl-C does: its folder is removed.
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        make_server(app).run(sockets=[listening])


def make_server(app: "ASGIApp") -> "Server":
    """Return uvicorn with what the service needs: of requests nothing is logged, only bugs."""
    from uvicorn import Config, Server

    return Server(
        Config(
            app,
            access_log=False,
            log_level="error",
            http="h11",  # which the requirements have, whatever else is installed
            loop="asyncio",
            ws="none",
            lifespan="on",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as exc:
        cause = f"expected to listen at 127.0.0.1:{port}, found: {exc.strerror}"
        raise SystemResourceError(f"{cause}. Choose another port: --port.") from exc
