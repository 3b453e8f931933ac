"""``POST /v1/items`` and ``DELETE /v1/items/{id}``: only where the service may write."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ..api.index import Index
from ..api.serving import ids_of
from ..core.errors import ImageRejected
from ..core.files import sha256_bytes, write_atomically
from .core import Service
from .examples import FAULTS
from .faults import Fault, status_of
from .forms import FILES, Upload, form_schema, read_form
from .pictures import Name
from .shelf import Served

router = APIRouter(tags=["items"])
MOST_NAME = 100
FORM: dict[str, Any] = {
    "image": FILES,
    "label": {"type": "array", "items": {"type": "string"}, "description": "KEY=VALUE, for every image."},
    "index": {"type": "string", "description": "Which index, where several are served."},
}


@router.post("/v1/items", summary="Add images", responses=FAULTS, openapi_extra=form_schema(FORM), status_code=201)
async def add(request: Request) -> JSONResponse:
    """Add images in one new snapshot: all that are acceptable; the others are named with the reason."""
    service: Service = request.app.state.service
    form = await read_form(request, service.settings)
    form.only(*FORM)
    labels = dict(_label(text) for text in form.texts("label"))
    uploads = form.uploads("image", most=service.settings.max_images)
    served = service.shelf.find(form.text("index"))
    good: dict[Path, Upload] = {}
    rejected: list[dict[str, str]] = []
    statuses: list[int] = []
    for one in uploads:
        try:
            async with service.intake.pixels(one.data, served.open()):
                good[_place(service.settings.uploads(served.path), one)] = one
        except ImageRejected as why:
            rejected.append({"name": one.name, "error": why.reason, "detail": why.detail})
            statuses.append(status_of(why))
    told: dict[str, Any] = {"schema": "retr.added/1", "items": [], "rejected": rejected}
    if not good:
        return JSONResponse({**told, "snapshot": served.open().snapshot}, statuses[0])
    index = await change(service, served, lambda index: _added(index, good, labels))
    known = await asyncio.to_thread(ids_of, index, map(str, good))
    told["items"] = [{"name": one.name, "id": known[str(path)]} for path, one in good.items() if str(path) in known]
    return JSONResponse({**told, "snapshot": index.snapshot}, 201)


@router.delete("/v1/items/{name}", summary="Remove an item", responses=FAULTS)
async def remove(request: Request, name: str, of: Name = None) -> JSONResponse:
    """Take an item out, in a new snapshot. A file that was added through this service is deleted; others are not."""
    service: Service = request.app.state.service
    served = service.shelf.find(of)
    index = await change(service, served, lambda index: _removed(index, name, service.settings.uploads(served.path)))
    return JSONResponse({"schema": "retr.removed/1", "id": name, "snapshot": index.snapshot})


async def change(service: Service, served: Served, work: Callable[[Index], object]) -> Index:
    """Change an index, one change at a time, and serve its new snapshot; what is being answered keeps the old one.

    What was begun is finished even if nobody waits for it any more.
    """
    served.open()

    async def changed() -> Index:
        async with service.writing:
            index = copy.copy(await service.writable(served))
            await asyncio.to_thread(work, index)
            await service.shelf.take(served, index)
            return index

    return await asyncio.shield(asyncio.ensure_future(changed()))


def _added(index: Index, good: dict[Path, Upload], labels: dict[str, str]) -> None:
    for path, upload in good.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_atomically(path, upload.data, mode=0o600)
    index.add(list(good), labels=labels, isolate=True)


def _removed(index: Index, name: str, uploads: Path) -> None:
    from ..api.serving import item_of

    found = item_of(index.latest(), name)
    if found is None:
        raise Fault(404, "no-such-item", "the index holds no item of this id")
    index.remove(ids=[name])
    file = Path(found.path)
    if file.parent == uploads / found.bytes_sha256:
        file.unlink(missing_ok=True)
        file.parent.rmdir()


def _place(uploads: Path, one: Upload) -> Path:
    """Where an added image is kept: under the digest of its bytes, by the name it first came with."""
    folder = uploads / sha256_bytes(one.data)
    held = sorted(folder.iterdir()) if folder.is_dir() else []
    name = "".join(character if character.isalnum() or character in "-_." else "_" for character in one.name)
    return held[0] if held else folder / (name[-MOST_NAME:].lstrip(".") or "image")


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise Fault(422, "usage", f"a label is KEY=VALUE, got {text!r}")
    return key, value
