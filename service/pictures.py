"""``GET /v1/items/{id}`` and its picture."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from ..api.index import Index
from ..api.serving import Item, item_of, thumbnail
from .core import Service
from .examples import FAULTS
from .faults import Fault
from .names import last_part

router = APIRouter(tags=["items"])
KEPT = 512
"""Pictures that are kept in memory."""
Name = Annotated[str | None, Query(alias="index", description="Which index, where several are served.")]


@router.get("/v1/items/{name}", summary="An item", responses=FAULTS)
async def item(request: Request, name: str, of: Name = None) -> JSONResponse:
    """Size, format, digests and labels of an item."""
    service: Service = request.app.state.service
    return JSONResponse(shown_item(await find(service, name, of), names=service.settings.serve_images))


@router.get("/v1/items/{name}/thumbnail", summary="Its picture", response_class=Response, responses=FAULTS)
async def picture(
    request: Request, name: str, of: Name = None, side: Annotated[int, Query(ge=16, le=2048)] = 256
) -> Response:
    """A WebP that was drawn anew: nothing of the file itself comes along. Only where pictures are served."""
    service: Service = request.app.state.service
    if not service.settings.serve_images:
        raise Fault(403, "no-images", "this service shows no pictures; it was started without --serve-images")
    found, index = await find(service, name, of), service.shelf.find(of).open()
    key = (found.pixels_sha256, side)
    data = service.pictures.get(key)
    if data is None:
        data = await service.within(
            service.intake.picture(lambda decode: thumbnail(found, index.engine.policy, side, decode))
        )
        if data is None:
            raise Fault(404, "no-file", "the file of this item is not there, or is no longer the picture it was")
        service.pictures[key] = data
        while len(service.pictures) > KEPT:
            service.pictures.popitem(last=False)
    return Response(data, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})


async def find(service: Service, name: str, of: str | None) -> Item:
    """An item by its id.

    Raises:
        Fault: there is none.
    """
    index: Index = service.shelf.find(of).open()
    found = await asyncio.to_thread(item_of, index, name)
    if found is None:
        raise Fault(404, "no-such-item", "the index holds no item of this id")
    return found


def shown_item(found: Item, *, names: bool) -> dict[str, Any]:
    """An item as JSON, without its path."""
    known = {key: value for key, value in asdict(found).items() if key != "path"}
    return {**known, "name": last_part(found.path) if names else None}
