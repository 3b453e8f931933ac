"""The lookups of Hasher-Matcher-Actioner, as its public documentation describes them, over an index of retr.

They ask the first index that is served; below ``/indexes/NAME`` they ask the one of that name: a client takes that for
the address of the service. Signal type ``retr``, content type ``photo``. A content id is a number, as its clients
expect: the first 52 bits of an item's id. No URL is ever fetched. Banks are the values of the label ``bank``; items
without one are in the bank that is named as the index.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse

from ..api.index import Index
from ..api.serving import labels_in
from ..api.signals import NAME, Found, ask, signal_of, usual
from ..core.errors import UsageError
from .core import Service
from .examples import FAULTS
from .faults import Fault
from .forms import form_schema, read_form
from .shelf import Served

router = APIRouter(tags=["hasher-matcher-actioner"])
BELOW = "/indexes/{index}"
"""Where the lookups of one index are, where several are served."""
MOST = 100
"""Items that a lookup looks at."""
PHOTO = {"photo": {"type": "string", "format": "binary"}}
FORM = {"pattern": "^retr1:[0-9a-f]{16}:[A-Za-z0-9_=-]+$"}
"""What a signal looks like, for the document; what is none is told so by a sentence."""
_TEXT = Query(description="A signal of type retr.", min_length=1, max_length=2**15, json_schema_extra=FORM)
_WORD = Query(description="retr", max_length=64)
_URL = Query(description="No URL is fetched.", max_length=2**12)
Signal = Annotated[str, _TEXT]
Type = Annotated[str, _WORD]
"""A request line has 64 KiB; what fits the document fits there."""


@router.get("/h/hash", summary="(No URL is fetched.)", responses=FAULTS)
async def hash_url() -> JSONResponse:
    """Always refused: send the file by POST."""
    raise _no_url()


@router.post(
    "/h/hash", summary="The signal of a photo", responses=FAULTS, openapi_extra=form_schema(PHOTO, required=("photo",))
)
async def hash_file(request: Request) -> JSONResponse:
    """``{"retr": "retr1:…"}``."""
    service, served = _served(request)
    return JSONResponse({NAME: await _signal(request, service, served.open())})


@router.get("/m/raw_lookup", summary="Content that matches a signal", responses=FAULTS)
async def raw_lookup(
    request: Request, signal: Signal, signal_type: Type, include_distance: bool = False
) -> JSONResponse:
    """Ids of the items that accept a signal; with distances as parts of how far each accepts."""
    _check_type(signal_type)
    service, served = _served(request)
    answer = await _asked(service, served.open(), signal)
    found = [(content_id(match.id), match.distance) for match in answer.matches if match.accepted]
    plain: list[Any] = [number for number, _ in found]
    told = [{"content_id": number, "distance": f"{distance:.4f}"} for number, distance in found]
    return JSONResponse({"matches": told if include_distance else plain})


@router.get("/m/lookup", summary="Banks that match a signal", responses=FAULTS)
async def lookup(
    request: Request,
    signal: Annotated[str | None, _TEXT] = None,
    signal_type: Annotated[str | None, _WORD] = None,
    url: Annotated[str | None, _URL] = None,
) -> JSONResponse:
    """Names of the banks that hold an item which accepts a signal."""
    if url is not None:
        raise _no_url()
    if signal is None or signal_type is None:
        raise Fault(400, "usage", "signal and signal_type are needed")
    _check_type(signal_type)
    service, served = _served(request)
    index = served.open()
    answer = await _asked(service, index, signal)
    return JSONResponse(await asyncio.to_thread(_banks_of, served, index, answer))


@router.post(
    "/m/lookup",
    summary="Banks that match a photo",
    responses=FAULTS,
    openapi_extra=form_schema(PHOTO, required=("photo",)),
)
async def lookup_file(request: Request) -> JSONResponse:
    """``{"retr": [names of banks]}``."""
    service, served = _served(request)
    index = served.open()
    answer = await _asked(service, index, await _signal(request, service, index))
    return JSONResponse({NAME: await asyncio.to_thread(_banks_of, served, index, answer)})


@router.post("/m/compare", summary="Whether two signals match", responses=FAULTS)
async def compare(request: Request, signals: dict[str, list[str]]) -> JSONResponse:
    """``{"retr": [signal, signal]}`` → ``{"retr": [true, {"distance": …}]}``; by the models of a plain index."""
    service, _ = _served(request)
    pair = signals.get(NAME)
    if set(signals) != {NAME} or pair is None or len(pair) != 2:
        raise Fault(400, "usage", 'send {"retr": [signal, signal]}')
    first, second = pair
    found = await service.within(service.slowly(lambda: _compared(first, second)))
    return JSONResponse({NAME: [found <= 1.0, {"distance": found if math.isfinite(found) else None}]})


@router.get("/m/index/status", summary="What is matched against", responses=FAULTS)
async def status(request: Request, signal_type: Annotated[str | None, _WORD] = None) -> JSONResponse:
    """Since when, and how many."""
    if signal_type is not None:
        _check_type(signal_type)
    _, served = _served(request)
    if served.index is None:
        return JSONResponse({NAME: {"present": False, "built_to": -1, "size": 0}})
    made = datetime.fromisoformat(served.index.engine.gallery.snapshot.created)
    return JSONResponse({NAME: {"present": True, "built_to": int(made.timestamp()), "size": len(served.index)}})


@router.get("/c/banks", summary="Banks", responses=FAULTS)
async def banks(request: Request) -> JSONResponse:
    """Names of all banks."""
    _, served = _served(request)
    index = served.open()
    names = {served.name, *(labels.get("bank", served.name) for labels in labels_in(index).values())}
    return JSONResponse([{"name": name, "matching_enabled_ratio": 1.0} for name in sorted(names)])


def named(index: Annotated[str, Path(description="Name of an index.", max_length=255)]) -> str:
    """The index that the path of a request names."""
    return index


def content_id(name: str) -> int:
    """The number that stands for an item's id: JSON carries no larger ones without loss."""
    return int(name[:13], 16)


def _served(request: Request) -> tuple[Service, Served]:
    service: Service = request.app.state.service
    return service, service.shelf.find(request.path_params.get("index"))


def _check_type(name: str) -> None:
    if name != NAME:
        raise Fault(400, "usage", f"No such SignalType {name!r}; here it is {NAME}")


def _no_url() -> Fault:
    return Fault(400, "no-urls", "this service fetches no URL: send the file by POST, as the form field photo")


async def _signal(request: Request, service: Service, index: Index) -> str:
    form = await read_form(request, service.settings)
    form.only("photo")
    [upload] = form.uploads("photo", most=1)
    async with service.intake.pixels(upload.data, index) as image:
        return await service.within(service.slowly(lambda: signal_of(index, image)))


async def _asked(service: Service, index: Index, signal: str) -> Found:
    try:
        return await service.within(service.slowly(lambda: ask(index, signal, k=MOST)))
    except UsageError as error:
        raise Fault(400, "signal", str(error)) from error


def _banks_of(served: Served, index: Index, answer: Found) -> list[str]:
    return sorted(set(_each_bank(served, index, answer)))


def _each_bank(served: Served, index: Index, answer: Found) -> Iterator[str]:
    labels = labels_in(index)
    for match in answer.matches:
        if match.accepted:
            for path in (match.path, *match.duplicates):
                yield labels.get(path, {}).get("bank", served.name)


def _compared(first: str, second: str) -> float:
    """How far the first is from the second, as a part of how far the second accepts."""
    try:
        return round(usual().part(first, second), 6)
    except UsageError as error:
        raise Fault(400, "signal", str(error)) from error
