"""``GET /``: the one page, its style and its script, as they lie in the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

router = APIRouter(include_in_schema=False)
FOLDER = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/review.js": ("review.js", "text/javascript; charset=utf-8"),
    "/words.js": ("words.js", "text/javascript; charset=utf-8"),
}


@cache
def _content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def _add(path: str, name: str, kind: str) -> None:
    async def send() -> Response:
        return Response(_content(name), media_type=kind)

    router.add_api_route(path, send, methods=["GET", "HEAD"], name=name)


for _path, (_name, _kind) in FILES.items():
    _add(_path, _name, _kind)
