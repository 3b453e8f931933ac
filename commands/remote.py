"""``retr query --server``: the same question to a service."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer

from ..core.errors import CertificateWithheld, ImageRejected, RetrError, UsageError
from .options import REJECTED
from .output import note

if TYPE_CHECKING:
    from ..retrieval.answer import Answer
    from .inputs import Input

AT_ONCE = 16
"""Images sent together."""
SECONDS = 120.0


class Server:
    """A service of ``retr serve``.

    Args:
        url: of it, such as ``http://127.0.0.1:8000``.
        token: what it asks for; None for none.

    Raises:
        UsageError: no such URL.
    """

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{url} names no port that can be: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UsageError(f"a server is named as http://127.0.0.1:8000 is, got {url!r}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection, self._url = kind(parts.hostname, port, timeout=SECONDS), url
        self._path = parts.path.rstrip("/") + "/v1/query"
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def records(self, inputs: Sequence[Input], fields: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """One for each input, in order, as ``retr query --format json`` prints it."""
        for start in range(0, len(inputs), AT_ONCE):
            part = inputs[start : start + AT_ONCE]
            sent: list[tuple[Input, bytes]] = []
            failed: dict[int, ImageRejected] = {}
            for place, one in enumerate(part):
                try:
                    sent.append((one, _bytes(one)))
                except ImageRejected as why:
                    failed[place] = why
            answered = iter(self._ask(sent, fields) if sent else [])
            for place, one in enumerate(part):
                yield _refused(one, failed[place]) if place in failed else {**next(answered), "query": one.path}

    def _ask(self, sent: Sequence[tuple[Input, bytes]], fields: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        edge = f"retr-{secrets.token_hex(16)}"
        body = _form(edge, [data for _, data in sent], fields)
        headers = {**self._headers, "Content-Type": f"multipart/form-data; boundary={edge}"}
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            said = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise RetrError(f"{self._url} does not answer: {error or type(error).__name__}") from error
        finally:
            self._connection.close()
        return self._read(response.status, said, len(sent))

    def _read(self, status: int, said: bytes, count: int) -> list[dict[str, Any]]:
        try:
            found = json.loads(said)
        except ValueError:
            raise RetrError(f"{self._url} answers {status}, and no JSON: is it a service of retr?") from None
        if isinstance(found, list) and len(found) == count and all(isinstance(one, dict) for one in found):
            return found
        detail = found.get("detail") if isinstance(found, dict) else None
        if status in (401, 422):
            raise UsageError(f"{self._url}: {detail}")
        raise RetrError(f"{self._url} answers {status}: {detail or 'nothing that makes sense'}")


def _bytes(one: Input) -> bytes:
    from ..images.policy import DecodePolicy
    from ..indexer.addresses import asked_text
    from ..indexer.entries import read_named

    if one.refused is not None:
        raise one.refused
    return read_named(asked_text(one.path), DecodePolicy())


def _form(edge: str, images: Sequence[bytes], fields: Sequence[tuple[str, str]]) -> bytes:
    """A multipart form; file names stay here."""
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode() for name, text in fields
    ]
    for number, data in enumerate(images):
        head = f'Content-Disposition: form-data; name="image"; filename="{number}"'
        parts += [f"--{edge}\r\n{head}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(), data, b"\r\n"]
    return b"".join([*parts, f"--{edge}--\r\n".encode()])


def _refused(one: Input, why: ImageRejected) -> dict[str, Any]:
    from ..reports.query_records import failed_record

    return failed_record(why, one.path, model="", snapshot="", k=0)


def print_record(record: Mapping[str, Any], asked: str | None) -> None:
    """One record as ``retr query`` prints it for people."""
    from ..reports.query_table import print_answer, print_refusal

    found = _answered(record)
    if isinstance(found, ImageRejected):
        print_refusal(found, record["query"])
    else:
        print_answer(found, record["query"], asked=asked)


def _answered(record: Mapping[str, Any]) -> Answer | ImageRejected:
    from ..reports.query_records import answer_of_record

    if record["error"] is not None:
        return ImageRejected(stage="answer", reason=record["error"], detail=str(record["detail"]))
    return answer_of_record(record)


def _write_page(html: Path, records: Sequence[Mapping[str, Any]], url: str, words: str | None) -> None:
    """The page of the answers; the stored files are elsewhere, so that it shows no pictures of them."""
    from ..reports.query_page import asked, write_query_page

    write_query_page(html, [asked(_answered(one), one["query"], words, here=False) for one in records], url)
    note(f"page: {html}")


@dataclass(frozen=True)
class Asked:
    """What a server is asked, beside the images."""

    k: int
    eps: float | None
    unit: str
    against: tuple[str, ...]
    where: tuple[str, ...]
    explain: bool
    certified_only: bool = False

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Of the form."""
        budget = [] if self.eps is None else [("eps", repr(self.eps)), ("unit", self.unit)]
        several = [("against", one) for one in self.against] + [("where", one) for one in self.where]
        flags = {"explain": self.explain, "certified_only": self.certified_only}
        return [("k", str(self.k)), *budget, *((name, "true") for name, yes in flags.items() if yes), *several]


def ask_server(
    url: str,
    token_file: Path | None,
    inputs: list[Input],
    asked: Asked,
    form: str,
    *,
    strict: bool,
    words: str | None,
    html: Path | None = None,
) -> None:
    """Print what a server answers, as if the index were here.

    Args:
        url: of the service.
        token_file: what it asks for; None for nothing.
        inputs: images.
        asked: of each.
        form: how to print it.
        strict: whether a withheld certificate is a failure.
        words: the budget as it was given.
        html: where a page of the answers goes; None for none.
    """
    from ..core.tokens import read_token
    from ..reports.emit import emit
    from ..reports.query_records import COLUMNS, query_rows

    if asked.against and (form == "table" or html is not None):
        raise UsageError("what is proved of edits comes from a server as data alone: --format json, without --html")
    served = Server(url, None if token_file is None else read_token(token_file))
    seen: list[Mapping[str, Any]] = []
    records = (seen.append(record) or record for record in served.records(inputs, asked.fields))
    if form == "table":
        for record in records:
            print_record(record, words)
    elif form in ("csv", "parquet"):
        emit((row for record in records for row in query_rows(record)), form, columns=COLUMNS)
    else:
        emit(records, form)
    if html is not None:
        _write_page(html, seen, url, words)
    withheld = [str(one["withheld"]) for one in seen if one["error"] is None and one["withheld"]]
    if strict and withheld:
        raise CertificateWithheld("certificate withheld: " + "; ".join(withheld))
    refused = sum(one["error"] is not None for one in seen)
    if refused:
        note(f"{refused} of {len(inputs)} inputs have no answer")
        raise typer.Exit(REJECTED)
