"""Names that the service does not go by, and pages of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import files

from retr.core.errors import UsageError
from retr.service.settings import Settings

TOKEN = "a-secret-of-some-length"
HERE = {"host": "localhost:8000"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.7", "[::2]"])
def test_a_name_of_others_is_refused_but_for_health(serve, image: bytes, host: str) -> None:
    client = serve(writable=True)
    for told in (
        client.get("/v1/index", headers={"host": host}),
        client.get("/", headers={"host": host}),
        client.get("/metrics", headers={"host": host}),
        client.post("/v1/query", files=files(image), headers={"host": host}),
    ):
        assert (told.status_code, told.json()["error"]) == (421, "host")
    for path in ("/livez", "/readyz"):
        assert client.get(path, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:8000", "[::1]:8000", "127.0.0.2"])
def test_names_of_this_machine(serve, host: str) -> None:
    assert serve().get("/v1/index", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["a:b:c", "[::1", "localhost:x"])
def test_what_is_no_host(serve, host: str) -> None:
    assert serve().get("/v1/index", headers={"host": host}).status_code == 400


def test_a_name_that_a_proxy_asks_by(serve, image: bytes) -> None:
    client = serve(allow_hosts=("images.example",))
    assert client.get("/v1/index", headers={"host": "images.example"}).status_code == 200
    assert client.get("/v1/index", headers={"host": "evil.example"}).status_code == 421
    for host in ("images.example", "images.example:443", "127.0.0.1:8000"):
        headers = {"host": host, "origin": "https://images.example", "sec-fetch-site": "same-origin"}
        assert client.post("/v1/query", files=files(image), headers=headers).status_code == 200, host


def test_where_a_token_is_asked_for_any_name_will_do(serve) -> None:
    client = serve(host="0.0.0.0", token=TOKEN)
    headers = {"host": "images.example", "authorization": f"Bearer {TOKEN}"}
    assert client.get("/v1/index", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "told",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "https://localhost:8443"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://localhost:8000", "sec-fetch-site": "cross-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(serve, own: Path, image: bytes, told: dict[str, str]) -> None:
    client = serve(own, writable=True)
    before = (own / "CURRENT").read_bytes()
    for answer in (
        client.post("/v1/items", files=files(image), headers=HERE | told),
        client.delete("/v1/items/0123456789abcdef", headers=HERE | told),
        client.post("/v1/review", json={}, headers=HERE | told),
        client.post("/v1/query", files=files(image), headers=HERE | told),
    ):
        assert (answer.status_code, answer.json()["error"]) == (403, "cross-site")
    assert (own / "CURRENT").read_bytes() == before
    assert client.get("/v1/index", headers=HERE | told).status_code == 200


@pytest.mark.parametrize("told", [{}, {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}])
def test_its_own_page_and_programs(serve, image: bytes, told: dict[str, str]) -> None:
    assert serve().post("/v1/query", files=files(image), headers=HERE | told).status_code == 200


@pytest.mark.parametrize("name", ["https://images.example", "images.example:443", "Images.example", "", "*"])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--allow-host"):
        Settings({"a": tmp_path}, allow_hosts=(name,))
