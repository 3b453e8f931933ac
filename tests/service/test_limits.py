"""What the service refuses, and how; nothing of it takes it down."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from pathlib import Path

import pytest
from asking import files

from retr.core.errors import UsageError
from retr.core.tokens import read_token
from retr.service.faults import Fault
from retr.service.guard import Guard
from retr.service.metrics import Metrics
from retr.service.settings import Settings, named

TOKEN = "a-secret-of-some-length"
FORM = {"content-type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        ({"k": "0"}, 422, "k is 1 to 1000"),
        ({"k": "many"}, 422, "a number"),
        ({"eps": "nan"}, 422, "finite"),
        ({"eps": "-1"}, 422, "≥ 0"),
        ({"unit": "metres", "eps": "1"}, 422, "unknown unit"),
        ({"unit": "psnr", "certify": "true"}, 422, "needs eps"),
        ({"unit": "l2"}, 422, "needs eps"),
        ({"certify": "perhaps"}, 422, "true or false"),
        ({"against": "magic:1..2"}, 422, "magic"),
        ({"where": "nothing"}, 422, "condition"),
        ({"index": "other"}, 404, "my-index"),
        ({"kk": "3"}, 422, "no field 'kk'"),
    ],
)
def test_a_field_that_cannot_be(serve, image: bytes, told: dict, status: int, words: str) -> None:
    answer = serve().post("/v1/query", files=files(image), data=told)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


def test_what_is_no_image(serve, bad_files) -> None:
    client = serve(max_pixels=10_000)
    folder, names = bad_files
    for name, _ in names[:12]:
        path = folder / name
        if path.is_file():
            answer = client.post("/v1/query", files=files(path.read_bytes()))
            assert answer.status_code in (413, 415, 422), name
            assert answer.json()[0]["error"], name


def test_too_many_pixels_bytes_and_images(serve, image: bytes) -> None:
    assert serve(max_pixels=10_000).post("/v1/query", files=files(image)).status_code == 413
    client = serve(max_body=100_000)
    assert client.post("/v1/query", files=files(image)).json()["error"] == "too-many-bytes"
    assert client.post("/v1/query", content=iter([image] * 3), headers=FORM).status_code == 413  # of no told length
    assert serve(max_images=2).post("/v1/query", files=files(image, image, image)).status_code == 413


def test_what_is_no_form(serve) -> None:
    client = serve()
    assert client.post("/v1/query", json={"image": "x"}).status_code == 415
    assert client.post("/v1/query", content=b"nonsense", headers=FORM).status_code == 400
    assert client.post("/v1/query", content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400
    assert client.post("/v1/query", files=[("other", ("a", b"b"))]).status_code == 422
    assert client.post("/v1/query", data={"image": "text"}, files=[("x", ("a", b""))]).status_code == 422
    assert client.get("/v1/query").status_code == 405
    assert client.get("/v1/items/../../etc/passwd").status_code == 404
    assert client.post("/v1/items", files=files(b"x")).status_code in (404, 405)  # not writable


def test_a_token_is_asked_for_and_compared_whole(serve, image: bytes) -> None:
    client = serve(token=TOKEN)
    for shown in (None, "", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer"):
        headers = {} if shown is None else {"authorization": shown}
        assert client.post("/v1/query", files=files(image), headers=headers).status_code == 401
        assert client.get("/metrics", headers=headers).status_code == 401
    assert client.get("/v1/index", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/livez").status_code == client.get("/").status_code == 200


def test_every_answer_has_the_headers_of_safety(serve) -> None:
    client = serve()
    for path in ("/", "/livez", "/nowhere", "/v1/index"):
        headers = client.get(path, headers={"origin": "http://elsewhere"}).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert "access-control-allow-origin" not in headers


def test_the_log_says_what_happened_and_nothing_of_the_image(serve, image: bytes, caplog) -> None:
    with caplog.at_level(logging.INFO, "retr.service"):
        serve().post("/v1/query", files=[("image", ("secret-name.png", image))])
    lines = [json.loads(line.message) for line in caplog.records if line.name == "retr.service"]
    asked = next(line for line in lines if line.get("route") == "/v1/query")
    assert (asked["status"], asked["images"], asked["verdicts"]) == (200, 1, ["copy"])
    assert "secret-name" not in caplog.text


def test_a_body_that_comes_too_slowly_or_fills_the_memory() -> None:
    async def answer(scope, receive, send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(guard: Guard, pieces: list[tuple[float, bytes]]) -> int:
        async def receive():
            delay, body = pieces.pop(0)
            await asyncio.sleep(delay)
            return {"type": "http.request", "body": body, "more_body": bool(pieces)}

        sent: list = []

        async def send(message) -> None:
            sent.append(message)

        await guard({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
        return sent[0]["status"]

    async def run() -> None:
        settings = Settings({"a": Path("a")}, body_seconds=0.2, max_body=100, max_held=150)
        guard = Guard(answer, settings, Metrics())
        assert await ask(guard, [(0.15, b"a"), (0.15, b"b")]) == 408
        assert await ask(guard, [(0, b"a" * 60), (0, b"b" * 60)]) == 413
        both = await asyncio.gather(*(ask(guard, [(0, b"a" * 80), (0.1, b"")]) for _ in range(2)))
        assert sorted(both) == [200, 503]
        assert await ask(guard, [(0, b"a" * 80)]) == 200  # what was held is given back

    asyncio.run(run())


def test_too_many_requests_at_once_do_not_hide_whether_it_is_up(serve, image: bytes) -> None:
    client = serve(requests=0)
    refused = client.post("/v1/query", files=files(image))
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["error"]) == (503, "2", "busy")
    assert refused.json()["detail"]
    assert [client.get(path).status_code for path in ("/livez", "/readyz", "/metrics")] == [200] * 3


def test_busy_is_said_with_when_to_come_again(serve, image: bytes) -> None:
    client = serve(queue=1, batch=1, serve_proofs=True)
    passes = client.app.state.service._passes
    begun, gone_on = threading.Event(), threading.Event()
    real = passes._pass

    def slow(jobs) -> None:
        begun.set()
        gone_on.wait(20)
        real(jobs)

    passes._pass = slow
    answers: list = []
    askers = [threading.Thread(target=lambda: answers.append(client.post("/v1/query", files=files(image))))]
    askers[0].start()
    assert begun.wait(20)
    more = threading.Thread(target=lambda: answers.append(client.post("/v1/query", files=files(image))))
    more.start()
    until = time.monotonic() + 20
    while passes.waiting < 1 and time.monotonic() < until:
        time.sleep(0.01)
    refused = client.post("/v1/query", files=files(image))
    gone_on.set()
    for thread in (*askers, more):
        thread.join()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert [answer.status_code for answer in answers] == [200, 200]


def test_an_answer_that_takes_too_long(serve, image: bytes) -> None:
    answer = serve(answer_seconds=0.0).post("/v1/query", files=files(image))
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_settings_that_would_be_unsafe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="token-file"):
        Settings({"a": tmp_path}, host="0.0.0.0")
    assert Settings({"a": tmp_path}, host="::1").token is None
    (tmp_path / "short").write_text("short\n")
    with pytest.raises(UsageError, match="16 or more"):
        read_token(tmp_path / "short")
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "absent")
    with pytest.raises(UsageError, match="same name"):
        named([tmp_path / "a" / "x", tmp_path / "b" / "x"])


def test_a_fault_is_json() -> None:
    assert Fault(503, "busy", "later", retry=2).headers == {"Retry-After": "2"}
