"""The web application: each route asks `Access`, calls one thing and answers. No state of its own."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from edgetl.errors import ConflictError, EdgetlError
from edgetl.runtime.page.access import COOKIE, Access, same_origin
from edgetl.runtime.page.editing import Editable
from edgetl.runtime.page.guard import Guard
from edgetl.runtime.page.health import health_of
from edgetl.runtime.page.metrics import CONTENT_TYPE, metrics_of
from edgetl.runtime.page.screen import Screen
from edgetl.runtime.page.settings import is_loopback
from edgetl.runtime.page.view import history, page_view

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

MAX_BODY_BYTES = 64 << 10
_VIEWERS = 8  # who wait for the next frame at once; each holds a thread
_WAIT_S = 10.0
_WIDTHS = (320, 480, 640, 960, 1280)
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the sign-in form sends."""

    password: str


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """New settings, and the version of the ones that were looked at."""

    settings: Editable
    version: str


class App:
    """The routes of one page."""

    def __init__(self, screen: Screen, access: Access) -> None:
        self._screen = screen
        self._access = access
        self._viewers = threading.Semaphore(_VIEWERS)

    def routes(self) -> list[Route]:
        """All routes; those with pictures only where pictures are shown."""
        machine = [Route("/healthz", self.health), Route("/metrics", self.metrics)]
        if not self._access.settings.pictures:
            return machine
        view, change = self._viewing, self._changing
        return [
            *machine,
            Route("/", self.index),
            Route("/static/{name}", self.static),
            Route("/api/session", self.session),
            Route("/api/sign-in", self.sign_in, methods=["POST"]),
            Route("/api/sign-out", change(self.sign_out), methods=["POST"]),
            Route("/api/status", view(self.status)),
            Route("/api/history", view(self.history)),
            Route("/live.jpg", view(self.live)),
            Route("/rejects/{sequence:int}.jpg", view(self.reject)),
            Route("/rejects/{sequence:int}/thumbnail.jpg", view(self.thumbnail)),
            Route("/rejects/{sequence:int}/heat.jpg", view(self.heat)),
            Route("/api/settings", view(self.settings)),
            Route("/api/settings", change(self.set_settings), methods=["POST"]),
            Route("/api/drift/relearn", change(self.relearn), methods=["POST"]),
        ]

    def _viewing(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            return await handler(request) if self._access.may_view(request) else _refused(401, "sign in first")

        return checked

    def _changing(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            return await handler(request) if self._access.may_change(request) else _refused(403, "sign in first")

        return checked

    async def index(self, request: Request) -> Response:
        """The page itself; it holds nothing of the line, so anybody may load it to sign in."""
        return _file("index.html")

    async def static(self, request: Request) -> Response:
        """Its style, its program and its icon."""
        return _file(request.path_params["name"])

    async def session(self, request: Request) -> Response:
        """What whoever asks may do."""
        session = self._access.session(request)
        return _json({
            "may_view": self._access.may_view(request),
            "signed_in": session is not None,
            "can_sign_in": self._access.settings.password is not None,
            "can_set": self._screen.file is not None,
            "csrf": session.csrf if session else None,
        })  # fmt: skip

    async def sign_in(self, request: Request) -> Response:
        """A session for the right password; after some wrong ones a wait."""
        if not same_origin(request):
            return _refused(403, "sign in from the page itself")
        body = await _body(request, SignIn)
        if not isinstance(body, SignIn):
            return body
        answer = await run_in_threadpool(self._access.sign_in, request, body.password)
        if answer == "wait":
            wait = max(1, round(self._access.wait_s(request) + 0.5))
            return _refused(429, f"too many tries; wait {wait} s", {"Retry-After": str(wait)})
        if answer == "wrong":
            return _refused(401, "that is not the password")
        token, session = self._access.sessions.begin()
        response = _json({"csrf": session.csrf})
        secure = self._access.settings.tls_certificate is not None
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")
        return response

    async def sign_out(self, request: Request) -> Response:
        """Ends the session."""
        self._access.sessions.end(request.cookies.get(COOKIE))
        response = _json({})
        response.delete_cookie(COOKIE, path="/")
        return response

    async def status(self, request: Request) -> Response:
        """The line at a glance."""
        screen = self._screen
        status = screen.board.snapshot()
        health = health_of(status, self._access.settings.stale_s)
        return _json(page_view(status, health, screen.drift_report(), screen.gallery.rejects()))

    async def history(self, request: Request) -> Response:
        """The verdicts of the shift by the minute."""
        board = self._screen.board
        return _json(history(board.minutes(), board.snapshot().uptime_s))

    async def live(self, request: Request) -> Response:
        """The next frame after the one that the asker has: a slow link gets fewer frames, never old ones."""
        after, width = _number(request, "after", 0), _number(request, "width", 640)
        quality = min(90, max(20, _number(request, "quality", 70)))
        width = min(_WIDTHS, key=lambda known: abs(known - width))
        if not self._viewers.acquire(blocking=False):
            return _refused(503, "too many viewers", {"Retry-After": "2"})
        try:
            return await run_in_threadpool(self._live, after, width, quality)
        finally:
            self._viewers.release()

    def _live(self, after: int, width: int, quality: int) -> Response:
        live = self._screen.gallery.newest(after, _WAIT_S)
        if live is None:
            return Response(status_code=204)
        size = [0, 0] if live.image is None else [live.image.shape[1], live.image.shape[0]]
        facts = {"number": live.number, "size": size, "fault": live.fault, "verdict": live.verdict}
        headers = {"X-Frame": quote(msgspec.json.encode(facts))}
        if live.image is None:
            return Response(status_code=200, media_type="text/plain", headers=headers)
        data = self._screen.gallery.jpeg(live, width, quality)
        return Response(data, media_type="image/jpeg", headers=headers)

    async def reject(self, request: Request) -> Response:
        """The picture of a part that was not OK."""
        kept = self._screen.gallery.reject(request.path_params["sequence"])
        return _picture(kept.picture if kept else b"")

    async def thumbnail(self, request: Request) -> Response:
        """The same, small."""
        kept = self._screen.gallery.reject(request.path_params["sequence"])
        return _picture(kept.thumbnail if kept else b"")

    async def heat(self, request: Request) -> Response:
        """Where the answer rests; 202 while that is being found out."""
        sequence = request.path_params["sequence"]
        made = self._screen.heat.ask(sequence, self._screen.gallery.reject(sequence))
        if made is None:
            return Response(status_code=202)
        if not made.picture:
            return _refused(404, made.said)
        return Response(made.picture, media_type="image/jpeg", headers={"X-Said": quote(made.said)})

    async def settings(self, request: Request) -> Response:
        """Thresholds and regions as they are in the line's file."""
        file = self._screen.file
        if file is None:
            return _refused(404, "the line runs without a file (--config), so nothing can be set here")
        return await _answered(lambda: _json(file.show()))

    async def set_settings(self, request: Request) -> Response:
        """Writes other ones, after the loader's own checks, and has the line take them over."""
        file = self._screen.file
        if file is None:
            return _refused(404, "the line runs without a file (--config), so nothing can be set here")
        body = await _body(request, Change)
        if not isinstance(body, Change):
            return body
        return await _answered(lambda: _json({"applied": self._screen.change(body.settings, body.version)}))

    async def relearn(self, request: Request) -> Response:
        """What the line looks like from now on is normal."""
        if self._screen.observer is not None:
            self._screen.observer.relearn()
        return _json({})

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format."""
        if not await run_in_threadpool(self._access.may_scrape, request):
            return _refused(401, "sign in, or use HTTP Basic authentication", {"WWW-Authenticate": "Basic"})
        text = metrics_of(self._screen.board.snapshot(), self._screen.drift_report())
        return Response(text, media_type=CONTENT_TYPE)

    async def health(self, request: Request) -> Response:
        """200 while the line inspects, else 503; always open, so it tells strangers only which of the two."""
        health = health_of(self._screen.board.snapshot(), self._access.settings.stale_s)
        known = health if self._access.may_view(request) else {"ok": health.ok}
        return _json(known, 200 if health.ok else 503)


def make_app(screen: Screen, access: Access) -> Starlette:
    """The application with its guards."""
    settings = access.settings
    middleware = [Middleware(Guard), Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)]
    if is_loopback(settings.host):
        # Without this a page of somebody else's whose name points to 127.0.0.1 could read ours in a visitor's browser.
        known = ["127.0.0.1", "localhost", "::1", "[::1]", settings.host, *settings.hosts]
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=known, www_redirect=False))
    return Starlette(routes=App(screen, access).routes(), middleware=middleware)


async def _answered(work: Callable[[], Response]) -> Response:
    """Does some disk work in a thread; what edgetl refuses is said in one line."""
    try:
        return await run_in_threadpool(work)
    except ConflictError as error:
        return _refused(409, str(error))
    except EdgetlError as error:
        return _refused(422, str(error))


async def _body(request: Request, kind: type[T]) -> T | Response:
    """A JSON body as a record. Only JSON: a form of another site can send everything but that."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _refused(415, "send JSON")
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            return _refused(413, "too long")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, EdgetlError) as error:
        return _refused(422, str(error))


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _refused(status: int, said: str, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode({"error": said}), status, headers, media_type="application/json")


def _picture(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg") if data else _refused(404, "that picture is not kept")


def _file(name: str) -> Response:
    """A file of the page, by a name without folders."""
    kind = _TYPES.get(name.rpartition(".")[2])
    found = files("edgetl.runtime.page") / "static" / name
    if kind is None or "/" in name or not found.is_file():
        return PlainTextResponse("no such file", 404)
    return Response(found.read_bytes(), media_type=kind)


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else otherwise
