"""The labelling page's routes: the queue, the pictures, and one answer at a time. For this machine only."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from edgetl.errors import EdgetlError
from edgetl.runtime.page.access import same_origin
from edgetl.trainer.review.labels import Labels
from edgetl.trainer.review.queue import Queue, collected_in, queue_of

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
MAX_BODY_BYTES = 4096


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page sends: a label, or unusable, or neither to open the picture again."""

    picture: str
    label: str | None = None
    unusable: bool = False


class App:
    """The routes over one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._labels = Labels(folder)
        self._known = {record.picture for record in collected_in(folder)}  # no picture is decoded before one asks

    def application(self) -> Starlette:
        """The ASGI application; host names other than this machine's are refused, against DNS rebinding."""
        routes = [
            Route("/", self._page),
            Route("/api/queue", self._all),
            Route("/api/answer", self._answer, methods=["POST"]),
            Route("/picture/{name}", self._picture),
            Route("/{name}.{kind}", self._static),
        ]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
        return Starlette(routes=routes, middleware=[hosts])

    async def _page(self, request: Request) -> Response:
        return _file("index", "html")

    async def _static(self, request: Request) -> Response:
        name, kind = request.path_params["name"], request.path_params["kind"]
        return _file(name, kind) if (name, kind) in _STATIC else PlainTextResponse("not found", 404)

    async def _all(self, request: Request) -> Response:
        queue = await run_in_threadpool(queue_of, self._folder, self._labels)
        self._known = {item.picture for item in queue.items}
        return _json(queue)

    async def _picture(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._known:
            return PlainTextResponse("not found", 404)
        return FileResponse(self._folder / name, headers=_HEADERS)

    async def _answer(self, request: Request) -> Response:
        if not same_origin(request):
            return PlainTextResponse("only this page may answer", 403)
        body = await request.body()
        try:
            said = msgspec.json.decode(body[:MAX_BODY_BYTES], type=Said)
            if said.picture not in self._known:
                return PlainTextResponse(f"no such picture: {said.picture}", 404)
            answer = await run_in_threadpool(self._labels.give, said.picture, said.label, unusable=said.unusable)
        except (msgspec.DecodeError, EdgetlError) as error:
            return PlainTextResponse(str(error), 400)
        return _json(answer)


_OWN, _LINE_S = "edgetl.trainer.review", "edgetl.runtime.page"
_STATIC = {("index", "html"): _OWN, ("page", "css"): _OWN, ("page", "js"): _OWN, ("icon", "svg"): _LINE_S}


def _file(name: str, kind: str) -> Response:
    content = (files(_STATIC[name, kind]) / "static" / f"{name}.{kind}").read_text()
    return Response(content, media_type=_TYPES[kind], headers=_HEADERS)


def _json(content: Queue | msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json", headers=_HEADERS)
