"""Rules for every request: who may ask, and the headers of every answer."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # With no-referrer, a browser would send "Origin: null" with the form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """An ASGI application that answers only what was asked of it by name, and only to its own pages.

    * The header Host must name this machine and the port. The page of another site whose domain suddenly resolves to
      127.0.0.1 (DNS rebinding) has the name of that site in it.
    * The header Origin of every method but GET and HEAD must be this service's. Browsers add it, and no script can
      change it, so that the form of another site is refused; a secret in the form (a CSRF token) would add nothing.
    * Every answer has `HEADERS`, unless it sets one of them itself.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        if port == 80:  # which browsers leave out
            self._hosts |= {"127.0.0.1", "localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._app
        if scope["type"] == "http" and (refused := self._refused(scope["method"], Headers(scope=scope))):
            app = PlainTextResponse(refused, status_code=403)
        await app(scope, receive, send_with_headers)

    def _refused(self, method: str, headers: Headers) -> str:
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return f"Host: expected {' or '.join(sorted(self._hosts))}, got another. Open http://{min(self._hosts)}/.\n"
        if method not in ("GET", "HEAD") and headers.get("origin", "").lower() != f"http://{host}":
            return f"Origin: expected http://{host}, got another or none. Use the form at http://{host}/.\n"
        return ""
