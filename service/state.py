"""``GET /v1/index``, ``/livez``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from .core import Service
from .shelf import Served

router = APIRouter(tags=["state"])


@router.get("/livez", summary="Whether the process answers")
async def livez() -> dict[str, str]:
    """Always ``ok``."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether every index is loaded and whole", responses={503: {"description": "Not yet."}})
async def readyz(request: Request) -> JSONResponse:
    """503 until every index is loaded, and while one is damaged; queries are answered from what was last whole."""
    service: Service = request.app.state.service
    troubles = {name: one.trouble for name, one in service.shelf.served.items() if one.trouble is not None}
    if troubles:
        return JSONResponse({"status": "not-ready", "because": troubles}, 503, {"Retry-After": "5"})
    return JSONResponse({"status": "ready"})


@router.get("/v1/index", summary="What is served")
async def index(request: Request) -> JSONResponse:
    """Every index: its snapshot, how many items, its models, whether it can certify."""
    service: Service = request.app.state.service
    found = {name: _described(one) for name, one in service.shelf.served.items()}
    settings = service.settings
    own = {
        "writable": settings.writable,
        "serve_images": settings.serve_images,
        "serve_proofs": settings.serve_proofs,
        "max_images": settings.max_images,
    }
    return JSONResponse({"schema": "retr.service/1", "indexes": found, **own})


def _described(served: Served) -> dict[str, Any]:
    if served.index is None:
        return {"ready": False, "because": served.trouble}
    engine = served.index.engine
    return {
        "ready": served.trouble is None,
        "because": served.trouble,
        "snapshot": served.index.snapshot,
        "created": engine.gallery.snapshot.created,
        "items": len(served.index),
        "rows": engine.gallery.snapshot.rows,
        "model": served.index.model,
        "companion": served.index.companion,
        "uncertified_because": served.index.uncertified_because,
    }


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """In the text format of Prometheus."""
    service: Service = request.app.state.service
    for name, one in service.shelf.served.items():
        service.metrics.items.labels(name).set(0 if one.index is None else len(one.index))
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
