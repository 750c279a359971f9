"""The service in a thread of the tests, and requests as they go over the wire."""

import json
import secrets
import shutil
import socket
import time
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NamedTuple

from dmdbt.bundle import read_model
from dmdbt.bundle.model import write_model
from dmdbt.service.app import create_app
from dmdbt.service.server import make_server


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self):
        return self.content.decode()

    @property
    def json(self):
        return json.loads(self.content)


class Running(NamedTuple):
    """The service at a port; `folder` is its temporary one."""

    port: int
    folder: Path

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    def connect(self, method, path, headers):
        """Send a request without its body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in ({"Host": f"127.0.0.1:{self.port}"} | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def ask(self, path, method="GET", content=b"", **headers):
        length = {"Content-Length": str(len(content))} if method == "POST" else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connect(method, path, length | named)
        connection.send(content)
        return answered(connection)

    def send(self, *parts, **headers):
        """Send a form as the page does."""
        kind, content = form(*parts)
        return self.ask("/cases", "POST", content, **{"Content-Type": kind, "Origin": self.origin} | headers)

    def result(self, *parts):
        """Send a pair, wait for it, and return its address and its numbers or refusal."""
        sent = self.send(*parts)
        assert sent.status == 303, sent.text
        return sent.headers["location"], self.wait(sent.headers["location"])

    def wait(self, address):
        while (answer := self.ask(f"{address}.json")).status == 202:
            time.sleep(0.05)
        return answer


def answered(connection):
    response = connection.getresponse()
    answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    connection.close()
    return answer


def form(*parts):
    """A form of texts ``(name, text)`` and files ``(name, file name, content)``: its type and its bytes."""
    boundary, lines = secrets.token_hex(8), []
    for name, *file, content in parts:
        sent = "".join(f'; filename="{file_name}"' for file_name in file)
        data = content if isinstance(content, bytes) else content.encode()
        lines += [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{sent}\r\n\r\n'.encode(),
            data,
            b"\r\n",
        ]
    return f"multipart/form-data; boundary={boundary}", b"".join([*lines, f"--{boundary}--\r\n".encode()])


def with_reading(bundle, folder, **changes):
    """A bundle with other limits."""
    shutil.copytree(bundle, folder)
    model = read_model(folder)
    write_model(folder, replace(model, reading=replace(model.reading, **changes)))
    return folder


@contextmanager
def running(bundle, *, permitted=None, **limits):
    """Serve a bundle; at the end, nothing may be left of the temporary folder."""
    with socket.create_server(("127.0.0.1", 0)) as listening, TemporaryDirectory() as temporary:
        port = listening.getsockname()[1]
        server = make_server(create_app(bundle, Path(temporary), port=port, permitted=permitted, **limits))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Running(port, Path(temporary))
        finally:
            server.should_exit = True
            thread.join()
        assert not Path(temporary).exists()
