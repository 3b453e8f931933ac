"""The gate before every request: sender, token, size and time of the body, headers of the answer, a line in the log."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from .callers import check_host, check_origin
from .faults import Fault, busy, too_large
from .metrics import Metrics
from .settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/", "/page.css", "/page.js", "/review.js", "/words.js", "/livez", "/readyz"})
"""What is shown without a token: the empty page, and whether the service is up."""
HEALTH = frozenset({"/livez", "/readyz"})
"""What whoever runs the service asks, by whatever name."""
UNCOUNTED = HEALTH | {"/metrics"}
"""What is answered however many requests there are."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
log = logging.getLogger("retr.service")


class Guard:
    """An ASGI application around another.

    Args:
        app: what answers.
        settings: the limits.
        metrics: told of every request.
    """

    def __init__(self, app: App, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._held = self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        body = _Body(self, receive, self._settings)
        try:
            self._check(scope)
            with self._counted(scope["path"]):
                await self._app(scope, body.receive, visit.send)
        except Fault as fault:  # while reading; the application turns its own into answers
            await visit.refuse(fault)
        except Exception as error:
            log.error(json.dumps({"event": "failed", "id": visit.name, "error": type(error).__name__}), exc_info=True)
            await visit.refuse(Fault(500, "failed", f"this is a defect of retr; the log has it under {visit.name}"))
        finally:
            self._held -= body.bytes
            self._told(visit, body.bytes)

    def take(self, count: int) -> None:
        """Hold so many more bytes.

        Raises:
            Fault: all requests together have too many.
        """
        if self._held + count > self._settings.max_held:
            raise busy("requests that are being read fill the memory set aside for them")
        self._held += count

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if scope["path"] not in HEALTH:
            check_host(headers, self._settings)
        check_origin(scope["method"], headers, self._settings)
        if self._settings.token is not None and scope["path"] not in OPEN:
            _check_token(headers.get(b"authorization", b""), self._settings.token)
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit():
            raise Fault(400, "content-length", "Content-Length is no number")
        if int(declared) > self._settings.max_body:
            raise too_large(self._settings.max_body)

    @contextmanager
    def _counted(self, path: str) -> Iterator[None]:
        if path in UNCOUNTED:
            yield
            return
        if self._active >= self._settings.requests:
            raise busy("too many requests are being answered")
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    def _told(self, visit: _Visit, count: int) -> None:
        seconds = time.perf_counter() - visit.began
        route = getattr(visit.scope.get("route"), "path", "(none)")
        self._metrics.requests.labels(visit.scope["method"], route, str(visit.status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        line = {
            "event": "request",
            "id": visit.name,
            "method": visit.scope["method"],
            "route": route,
            "status": visit.status,
            "seconds": round(seconds, 4),
            "bytes": count,
            **visit.scope.get("told", {}),
        }
        log.info(json.dumps(line))


class _Visit:
    """One request on its way out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self._send = scope, send
        self.status, self.began, self.name = 0, time.perf_counter(), secrets.token_hex(8)

    async def send(self, message: Message) -> None:
        """Pass a message on, with the headers that all answers have."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {name for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in _RAW if name not in own]
            message["headers"] = [*message.get("headers", ()), *more, (b"x-request-id", self.name.encode())]
        await self._send(message)

    async def refuse(self, fault: Fault) -> None:
        """Answer with a fault, if no answer has begun."""
        if self.status:
            return
        body = json.dumps(fault.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **fault.headers}
        if fault.status in (401, 408, 413):  # what was not read of the request is not waited for
            headers["Connection"] = "close"
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": fault.status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})


class _Body:
    """The body of one request, counted and timed while it comes in."""

    def __init__(self, guard: Guard, receive: Receive, settings: Settings) -> None:
        self._guard, self._receive, self._settings = guard, receive, settings
        self.bytes, self._whole = 0, False
        self._until = time.monotonic() + settings.body_seconds

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            Fault: too many bytes, or too slow.
        """
        if self._whole:  # what comes now is the end of the connection
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            seconds = self._settings.body_seconds
            raise Fault(408, "too-slow", f"the request was not there within {seconds:g} s", retry=1) from None
        if message["type"] == "http.request":
            self._whole = not message.get("more_body", False)
            self._count(len(message.get("body", b"")))
        return message

    def _count(self, more: int) -> None:
        if self.bytes + more > self._settings.max_body:
            raise too_large(self._settings.max_body)
        self._guard.take(more)
        self.bytes += more


def _check_token(shown: bytes, token: str) -> None:
    kind, _, secret = shown.partition(b" ")
    same = hmac.compare_digest(secret.strip(), token.encode())  # takes as long for every wrong one
    if kind.lower() != b"bearer" or not same:
        raise Fault(401, "token", "this service asks for a token: Authorization: Bearer …")
