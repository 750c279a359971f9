import pytest

from dmdbt.service.guard import HEADERS
from tests.support.service import form

pytestmark = pytest.mark.slow  # its bundle is

POLICY = (
    "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST:{}"])
def test_the_service_answers_to_the_names_of_this_machine(service, host):
    assert service.ask("/", Host=host.format(service.port)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:{}", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example:{}", "0.0.0.0:{}", "[::1]:{}", ""]
)
def test_another_host_is_refused_whatever_the_address(service, host):
    for path in ("/", "/service.js", "/results/x.json", "/nothing"):
        answer = service.ask(path, Host=host.format(service.port))
        assert answer.status == 403
        assert answer.text.startswith("Host: expected 127.0.0.1:")
    assert service.send(("patient", "P1"), Host=host.format(service.port)).status == 403


@pytest.mark.parametrize(
    "origin",
    [None, "null", "", "http://evil.example", "https://127.0.0.1:{}", "http://127.0.0.1", "http://localhost:{}"],
)
def test_a_form_of_another_origin_is_refused_and_nothing_is_written(service, origin):
    kind, content = form(("dm", "a.dcm", b"image"))
    headers = {} if origin is None else {"Origin": origin.format(service.port)}
    before = sorted(service.folder.iterdir())
    answer = service.ask("/cases", "POST", content, **{"Content-Type": kind} | headers)
    assert answer.status == 403
    assert answer.text.startswith(f"Origin: expected http://127.0.0.1:{service.port}, got another")
    assert sorted(service.folder.iterdir()) == before


def test_the_origin_may_be_localhost_if_the_host_is(service):
    host = f"localhost:{service.port}"
    answer = service.send(("patient", "P1"), Host=host, Origin=f"http://{host}")
    assert answer.status == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/viewer.css", 200),
        ("GET", "/service.css", 200),
        ("GET", "/service.js", 200),
        ("GET", "/cases", 405),
        ("POST", "/", 403),
        ("DELETE", "/results/x", 403),
        ("GET", "/results/x", 404),
        ("GET", "/results/x.json", 404),
        ("GET", "/results/", 404),
        ("GET", "/results", 404),
        ("GET", "/templates/service.js", 404),
        ("GET", "/..%2f..%2fetc/passwd", 404),
        ("GET", "/results/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/nothing", 404),
    ],
)
def test_every_answer_has_the_headers_and_nothing_else_is_served(service, method, path, status):
    answer = service.ask(path, method)
    assert answer.status == status
    assert {name: answer.headers[name.lower()] for name in HEADERS} == HEADERS
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "server" not in answer.headers
    assert "root:" not in answer.text
