"""Puts the service together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..core.errors import RetrError
from . import hma, items, page, pictures, query, review, state
from .core import Service
from .faults import Fault, fault_of
from .guard import Guard
from .settings import Settings

if TYPE_CHECKING:
    import uvicorn

DESCRIPTION = """Finds copies of images, and proves how far an image may be changed before the answer does.

Forms have the names of the command line; answers are its JSON (`retr.query/2`). No path leaves the server.
"""


def create_app(settings: Settings) -> FastAPI:
    """The application; it begins to load its indexes when it is started."""
    from .. import __version__

    service = Service(settings)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="retr",
        version=__version__,
        description=DESCRIPTION,
        lifespan=life,
        docs_url=None,  # pages of others' making, which load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    rooms = [page, state, query, pictures, hma, *([items, review] if settings.writable else [])]
    for room in rooms:
        app.include_router(room.router)
    app.include_router(hma.router, prefix=hma.BELOW, dependencies=[Depends(hma.named)])
    app.add_exception_handler(Fault, _fault)
    app.add_exception_handler(RetrError, _error)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)  # type: ignore[arg-type]
    return app


def _answer(fault: Fault) -> JSONResponse:
    return JSONResponse(fault.body, fault.status, fault.headers)


async def _fault(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Fault)
    return _answer(error)


async def _error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RetrError)
    return _answer(fault_of(error, request.app.state.service.shelf.hidden))


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    names = {404: "not-found", 405: "method", 400: "request"}
    fault = Fault(error.status_code, names.get(error.status_code, "request"), str(error.detail))
    return JSONResponse(fault.body, fault.status, dict(error.headers or {}))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
    return _answer(Fault(422, "usage", told))


async def _left(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it but the log


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the application is served."""
    import uvicorn

    from .connections import limited

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=round(settings.stop_seconds),
        http=limited(settings),
        h11_max_incomplete_event_size=2**16,
    )


async def serve_until_stopped(settings: Settings) -> None:
    """Serve until a signal comes; what was begun is finished."""
    import uvicorn

    await uvicorn.Server(server_config(create_app(settings), settings)).serve()


def run(settings: Settings) -> None:
    """Serve until a signal comes."""
    asyncio.run(serve_until_stopped(settings))
