"""From where a request may come: by which name it asks for the service, and from whose page it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from ..core.names import shown
from .faults import Fault
from .settings import Settings, is_loopback

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
PORTS = {"http": 80, "https": 443}
Headers = Mapping[bytes, bytes]


def check_host(headers: Headers, settings: Settings) -> None:
    """A page elsewhere may have its own name lead to this machine; a browser then tells that name.

    A service that asks for a token is protected by it: names are looked at where it listens to this machine alone,
    or where some were given.

    Raises:
        Fault: another name than those of this machine, of the address that is listened on, and those given.
    """
    told = headers.get(b"host")
    if told is None or not (settings.allow_hosts or is_loopback(settings.host)):
        return
    name = _split(f"//{told.decode('latin-1')}").hostname or ""
    if not (is_loopback(name) or name in _names(settings)):
        why = f"this service does not go by the name {shown(name)}; if it should, start it with --allow-host"
        raise Fault(421, "host", why)


def check_origin(method: str, headers: Headers, settings: Settings) -> None:
    """What changes or costs something is not done for pages of others; who is no browser tells neither header.

    Raises:
        Fault: the request comes from a page of another site.
    """
    if method in SAFE:
        return
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    same_site = site is None or site in (b"same-origin", b"none")
    same_origin = origin is None or _own(origin.decode("latin-1"), headers, settings)
    if not (same_site and same_origin):
        raise Fault(403, "cross-site", "a page of another site has sent this; this service answers its own page only")


def _own(origin: str, headers: Headers, settings: Settings) -> bool:
    here, asked = _split(origin), _split(f"//{headers.get(b'host', b'').decode('latin-1')}")
    if here.hostname is None:  # "null": a file, a frame without rights
        return False
    usual = PORTS.get(here.scheme)
    same = (here.hostname, here.port or usual) == (asked.hostname, asked.port or usual)
    return same or here.hostname in settings.allow_hosts  # behind a proxy that asks by another name


def _names(settings: Settings) -> set[str]:
    return {settings.host.strip("[]").lower(), *settings.allow_hosts}


def _split(text: str) -> SplitResult:
    try:
        found = urlsplit(text)
        _ = found.port  # raises for what is no port
        return found
    except ValueError:
        raise Fault(400, "request", f"{shown(text)} names no host") from None
