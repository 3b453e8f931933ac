"""Pairs for a person to judge: ``/v1/review``; decisions are kept in the index."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from ..api.index import Index
from ..api.review import Pair, decide, decided, pairs_of, undo
from ..api.serving import Item, item_of, items_with_pixels
from .core import Service
from .examples import FAULTS
from .names import last_part
from .pictures import Name, shown_item
from .shelf import Served

router = APIRouter(tags=["review"])
EXAMPLE: Any = {"one": "96d55abaedf4661e", "other": "711c52f6e6edac75", "relation": "same"}
Id = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


class Told(BaseModel):
    """What a person says of a pair."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": EXAMPLE})
    one: Id
    other: Id
    relation: Literal["same", "different"]
    index: str | None = None


@router.get("/v1/review", summary="Pairs that nobody has judged", responses=FAULTS)
async def pairs(request: Request, of: Name = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> JSONResponse:
    """Files of a group beside its first one (``retr dupes``), and presumed copies; the nearest first."""
    service, served = _served(request, of)
    index = served.open()
    found = await service.slowly(lambda: pairs_of(index))
    shown = await asyncio.to_thread(_shown, index, found[:limit], service.settings.serve_images)
    done = len(await asyncio.to_thread(decided, index))
    told = {"schema": "retr.review/1", "left": len(found), "decided": done, "pairs": shown}
    return JSONResponse({**told, "snapshot": index.snapshot})


@router.post("/v1/review", summary="Say what a pair is", responses=FAULTS)
async def say(request: Request, told: Told) -> JSONResponse:
    """``same``: copies of one another; ``different``: no copies, and no group will hold both. Kept in the index."""
    service, served = _served(request, told.index)
    async with service.writing:
        index = await service.writable(served)
        found = await asyncio.to_thread(decide, index, told.one, told.other, told.relation)
    return JSONResponse({"relation": found.relation, "since": found.since})


@router.delete("/v1/review/last", summary="Take the last decision back", responses=FAULTS)
async def take_back(request: Request, of: Name = None) -> JSONResponse:
    """The decision that was taken back; null where there was none."""
    service, served = _served(request, of)
    async with service.writing:
        found = await asyncio.to_thread(undo, await service.writable(served))
    return JSONResponse({"taken_back": None if found is None else {"relation": found.relation, "since": found.since}})


@router.get("/v1/review.csv", summary="All decisions", response_class=Response, responses=FAULTS)
async def export(request: Request, of: Name = None) -> Response:
    """``image,copy_of,relation``: by file names where pictures are served (for ``--known-copies``), else by ids."""
    service, served = _served(request, of)
    text = await asyncio.to_thread(_csv, served.open(), service.settings.serve_images)
    headers = {"Content-Disposition": 'attachment; filename="decisions.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _served(request: Request, name: str | None) -> tuple[Service, Served]:
    service: Service = request.app.state.service
    return service, service.shelf.find(name)


def _shown(index: Index, found: list[Pair], names: bool) -> list[dict[str, Any]]:
    return [
        {**asdict(pair), "items": [_item(item_of(index, name), names) for name in (pair.one, pair.other)]}
        for pair in found
    ]


def _item(item: Item | None, names: bool) -> dict[str, Any] | None:
    return None if item is None else shown_item(item, names=names)


def _csv(index: Index, names: bool) -> str:
    decisions = decided(index)
    items = items_with_pixels(index, {digest for one in decisions for digest in (one.one, one.other)})
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["image", "copy_of", "relation", "since"])
    for one in decisions:
        pair = items.get(one.one), items.get(one.other)
        if pair[0] is not None and pair[1] is not None:  # both are still there
            words = [_safe(last_part(item.path)) if names else item.id for item in pair if item is not None]
            writer.writerow([*words, one.relation, one.since])
    return sink.getvalue()


def _safe(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
