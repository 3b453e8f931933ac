"""Load of ``retr serve`` over loopback, beside the engine in this process, and its answers while the index changes.

    python docs/benchmarks/serve.py load INDEX QUERIES [--seconds 20] [--rounds 3] [--batch 16]
    python docs/benchmarks/serve.py changes INDEX QUERIES [--requests 10000] [--kept FILE]
    python docs/benchmarks/serve.py hostile INDEX [--files 500]
    python docs/benchmarks/serve.py schema INDEX

``QUERIES`` is a folder of images. ``load`` asks with certificates, ``k`` = 10, by 1, 8 and 32 clients that never wait,
and by the engine alone in two ways: one image after the other, and 16 at once; both decode as the service does.
``changes`` copies the index, adds and removes an image over and over, and compares every answer with that of the
library at the snapshot that the answer names; it goes by parts of 500 requests, which ``FILE`` keeps, so that the same
command goes on where it was stopped. ``hostile`` sends mutated files, bodies that are too long, too slow or
of a wrong type, and 200 requests at once, and watches the memory. ``schema`` lets schemathesis send what the OpenAPI
document allows, and more: once as it likes, once with ids, signals and pictures that are there. Each but the last
prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

import retr
from retr.api.serving import Decoder

CLIENTS = (1, 8, 32)
ASK = {"certify": "true", "k": "10"}


@contextmanager
def serving(index: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A service of its own process on a free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "retr", "serve", str(index), "--port", str(port), *options]
    with subprocess.Popen(command, stderr=None if os.environ.get("SHOW_LOG") else subprocess.DEVNULL) as process:  # noqa: S603 - this very interpreter
        url = f"http://127.0.0.1:{port}"
        try:
            wait_ready(url, process)
            yield url, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until every index is loaded."""
    for _ in range(600):
        assert process.poll() is None, "the service has ended"
        try:
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit("the service is not ready after two minutes")


def read(folder: Path) -> list[bytes]:
    """The images of a folder."""
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()]


# ---- load ------------------------------------------------------------------------------------------------------


def load(index: Path, images: Sequence[bytes], seconds: float, rounds: int, options: Sequence[str]) -> dict[str, Any]:
    """Throughput and latency of the engine alone and of the service, in turns: what else runs is shared by both."""
    found: dict[str, Any] = {"rows": retr.open(index).engine.gallery.snapshot.rows, "images": len(images)}
    times: dict[str, list[dict[str, float]]] = {}
    with serving(index, *options) as (url, process):
        over_http(url, process.pid, images, 1.0, 8)  # what is done once is done, as it is for the engine
        for _ in range(rounds):
            for at_once in (1, 16):
                name = f"engine, {at_once} at once"
                times.setdefault(name, []).append(in_process(index, images, seconds, at_once))
            for clients in CLIENTS:
                times.setdefault(f"{clients} clients", []).append(over_http(url, process.pid, images, seconds, clients))
        text = httpx2.get(f"{url}/metrics").text
    lines = (line.split() for line in text.splitlines() if line.startswith("retr_pass_images_"))
    sizes = {line[0]: float(line[1]) for line in lines}
    found["images a pass"] = round(sizes["retr_pass_images_sum"] / sizes["retr_pass_images_count"], 2)
    return found | {name: {key: [one[key] for one in all_] for key in all_[0]} for name, all_ in times.items()}


def in_process(index: Path, images: Sequence[bytes], seconds: float, at_once: int) -> dict[str, float]:
    """The library, decoding in processes as the service does."""
    opened = retr.open(index)
    decode = Decoder(2, seconds=10.0, max_pixels=50_000_000, max_bytes=2**26)
    policy, times = opened.engine.policy, []
    opened.query([decode(images[0], policy).pixels], certify=True, eps=1.0)
    begun, spent = time.perf_counter(), cpu_seconds(os.getpid())
    number = 0
    while time.perf_counter() - begun < seconds:
        since = time.perf_counter()
        batch = [decode(images[(number + place) % len(images)], policy).pixels for place in range(at_once)]
        opened.query(batch, certify=True, eps=1.0)
        times.append(time.perf_counter() - since)
        number += at_once
    found = summary(number, time.perf_counter() - begun, times)
    spent = cpu_seconds(os.getpid()) - spent
    decode.close()
    return found | {"cpu_ms_a_query": round(1e3 * spent / number, 1)}


def over_http(url: str, pid: int, images: Sequence[bytes], seconds: float, clients: int) -> dict[str, float]:
    """So many clients, each asks again as soon as it has its answer."""
    times: list[float] = []
    wrong: Counter[int] = Counter()
    until = time.perf_counter() + seconds

    def client(number: int) -> None:
        with httpx2.Client(timeout=120) as session:
            while time.perf_counter() < until:
                since = time.perf_counter()
                image = images[number % len(images)]
                answer = session.post(f"{url}/v1/query", files={"image": ("q", image)}, data=ASK)
                times.append(time.perf_counter() - since)
                if answer.status_code != 200:
                    wrong[answer.status_code] += 1
                number += clients

    begun, spent = time.perf_counter(), cpu_seconds(pid)
    together([threading.Thread(target=client, args=(number,)) for number in range(clients)])
    spent = cpu_seconds(pid) - spent
    more = {"refused": sum(wrong.values()), "cpu_ms_a_query": round(1e3 * spent / len(times), 1)}
    return summary(len(times), time.perf_counter() - begun, times) | more


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and of its children that run, which no other work on the machine makes longer."""
    found = 0
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else None
        except OSError:  # it has just ended
            continue
        if fields is not None and (int(entry.name) == pid or int(fields[1]) == pid):
            found += int(fields[11]) + int(fields[12])
    return found / os.sysconf("SC_CLK_TCK")


def summary(count: int, seconds: float, times: Sequence[float]) -> dict[str, float]:
    """Rate and latencies."""
    p50, p99 = np.percentile(times, [50, 99])
    return {"queries_per_s": round(count / seconds, 2), "p50_ms": round(1e3 * p50, 1), "p99_ms": round(1e3 * p99, 1)}


def together(threads: Sequence[threading.Thread]) -> None:
    """Run them to their end."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- changes ---------------------------------------------------------------------------------------------------


PART = 500
"""Requests of ``changes`` between two notes of how far it is."""


def changes(index: Path, images: Sequence[bytes], requests: int, kept: Path) -> dict[str, Any]:
    """Every answer is that of the snapshot which it names; parts that are kept are not asked again."""
    parts = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    while sum(part["requests"] for part in parts) < requests:
        parts.append(changing(index, images, min(PART, requests - sum(part["requests"] for part in parts))))
        with kept.open("a") as file:
            file.write(json.dumps(parts[-1]) + "\n")
        print(json.dumps(parts[-1]), file=sys.stderr, flush=True)
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def changing(index: Path, images: Sequence[bytes], requests: int) -> dict[str, int]:
    """One part, with a copy of the index and a service of its own."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "index")
        shutil.copytree(index, own)
        extra = Path(folder, "extra.png")
        extra.write_bytes(images[0])
        seen: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
        stop = threading.Event()
        snapshots: set[str] = set()

        def change() -> None:
            writer = retr.open(own)
            while not stop.is_set():
                snapshots.add(writer.snapshot)
                writer.add([extra])
                snapshots.add(writer.snapshot)
                writer.remove(extra)

        with serving(own) as (url, _):
            busy = threading.Thread(target=change)
            busy.start()
            counts = [(requests + n) // 4 for n in range(4)]
            together([threading.Thread(target=asks, args=(url, images, n, counts[n], seen)) for n in range(4)])
            stop.set()
            busy.join()
        records = sorted((seen.get() for _ in range(seen.qsize())), key=lambda pair: (pair[1]["snapshot"], pair[0]))
        wrong = sum(answer != record for answer, record in compared(own, images, records))
        named = {record["snapshot"] for _, record in records}
        return {"requests": len(records), "snapshots": len(snapshots), "asked": len(named), "mismatches": wrong}


def compared(
    index: Path, images: Sequence[bytes], records: Sequence[tuple[int, dict[str, Any]]]
) -> Iterator[tuple[list[Any], list[Any]]]:
    """What the library says at the snapshot that a record names, and what the record says; in order of snapshots."""
    opened, known = None, {}
    for place, record in records:
        if opened is None or opened.snapshot != record["snapshot"]:
            opened, known = retr.open(index, snapshot=record["snapshot"]), {}
        if place not in known:
            known[place] = told(opened.query(images[place], k=5).as_json())
        yield known[place], told(record)


def asks(url: str, images: Sequence[bytes], start: int, count: int, seen: queue.Queue[Any]) -> None:
    """One client: images in turn; the answers are looked at later."""
    with httpx2.Client(timeout=120) as session:
        for number in range(start, start + count):
            place = number % len(images)
            answer = session.post(f"{url}/v1/query", files={"image": ("q", images[place])}, data={"k": "5"})
            [record] = answer.raise_for_status().json()
            seen.put((place, record))


def told(record: dict[str, Any]) -> list[Any]:
    """What two answers are compared by."""
    matches = [(match["id"], match["score"], match["accepted"]) for match in record["matches"]]
    return [record["verdict"], record["snapshot"], *matches]


# ---- hostile ---------------------------------------------------------------------------------------------------


def hostile(index: Path, count: int) -> dict[str, Any]:
    """The service lives, answers in time, and never with a 5xx but 503; its memory stays bounded."""
    sys.path.insert(0, str(Path(retr.__file__).parent / "tests" / "support"))
    from mutate_images import mutants, seeds  # type: ignore[import-not-found]

    statuses: Counter[str] = Counter()
    with serving(index) as (url, process):
        before = memory(process.pid)
        with httpx2.Client(timeout=120) as session:
            for _, data in mutants(count):
                statuses[str(session.post(f"{url}/v1/query", files={"image": ("m", data)}).status_code)] += 1
            statuses[
                "oversized: "
                + str(session.post(f"{url}/v1/query", files={"image": ("b", bytes(65 * 2**20))}).status_code)
            ] += 1
            statuses["wrong type: " + str(session.post(f"{url}/v1/query", content=b"x" * 1000).status_code)] += 1
            image = next(iter(seeds().values()))
            crowd = Counter(parallel(url, image, 200))
            slow = dribble(url)
            alive = session.get(f"{url}/readyz").status_code
        peak = memory(process.pid, "VmHWM")
    return {
        "statuses": dict(sorted(statuses.items())),
        "200 at once": dict(sorted(crowd.items())),
        "a client that sends a byte a second": slow,
        "ready afterwards": alive,
        "resident MB before, at most": [before, peak],
    }


def schema(index: Path) -> int:
    """What schemathesis makes of the OpenAPI document, sent to a service of a copy: the exit code of the worse run.

    Once with values of its own, once with ids, signals and pictures that are there, which get farther.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = folder / "index"
        shutil.copytree(index, own)
        with serving(own, "--writable", "--serve-images", "--serve-proofs") as (url, _):
            known = write_known(url, own, folder)
            return max([schemathesis(url), schemathesis(url, **known)])  # both, whatever the first says


def write_known(url: str, index: Path, folder: Path) -> dict[str, Path]:
    """A configuration and a folder of pictures that name what is there."""
    sys.path.insert(0, str(Path(retr.__file__).parent / "tests" / "support"))
    from mutate_images import mutants, seeds  # type: ignore[import-not-found]

    files = folder / "files"
    files.mkdir()
    for number, data in enumerate([*seeds().values(), *(data for _, data in mutants(40))]):
        (files / f"{number:03d}").write_bytes(data)
    ids = retr.open(index).engine.gallery.catalog["id"].to_pylist()
    signal_line = httpx2.post(f"{url}/h/hash", files={"photo": next(iter(seeds().values()))}).json()["retr"]
    told = {"path.index": index.name, "path.name": ids[0], "query.index": index.name}
    told |= {"query.signal": signal_line, "query.signal_type": "retr"}
    config = folder / "schemathesis.toml"
    lines = [f'"{key}" = {json.dumps(value)}' for key, value in told.items()]
    config.write_text("\n".join(["[parameters]", *lines, ""]))
    return {"config": config, "files": files}


def schemathesis(url: str, config: Path | None = None, files: Path | None = None) -> int:
    """One run; what it keeps between runs goes with its folder."""
    found = shutil.which("schemathesis")
    tool = [found] if found else [sys.executable, "-m", "uv", "tool", "run", "schemathesis>=4"]
    checks = "not_a_server_error,status_code_conformance,response_headers_conformance"
    options = ["--checks", checks, "--max-examples", "15", "--request-timeout", "60"]
    environment = dict(os.environ)
    if files is not None:
        environment |= {
            "SCHEMATHESIS_HOOKS": "serve_hooks",
            "PYTHONPATH": str(Path(__file__).parent),
            "RETR_FUZZ_FILES": str(files),
        }
    words = [*tool, *(["--config-file", str(config)] if config else []), "run", f"{url}/openapi.json", *options]
    with tempfile.TemporaryDirectory() as place:
        return subprocess.run(words, check=False, cwd=place, env=environment).returncode  # noqa: S603


def parallel(url: str, image: bytes, count: int) -> list[str]:
    """Statuses of so many requests at once."""
    found: list[str] = []

    def one() -> None:
        try:
            found.append(str(httpx2.post(f"{url}/v1/query", files={"image": ("q", image)}, timeout=120).status_code))
        except httpx2.TransportError as error:
            found.append(type(error).__name__)

    together([threading.Thread(target=one) for _ in range(count)])
    return found


def dribble(url: str) -> str:
    """What becomes of a client that sends a byte a second, and after how long."""
    host, _, port = url.removeprefix("http://").partition(":")
    since = time.monotonic()
    with socket.create_connection((host, int(port))) as line:
        line.settimeout(1.0)
        line.sendall(b"POST /v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n")
        line.sendall(b"Content-Length: 1000\r\n\r\n")
        line.sendall(b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n')
        while time.monotonic() - since < 90:
            try:
                line.sendall(b"x")
                said = line.recv(4096)
                return f"{said.split(b' ')[1].decode() if said else 'closed'} after {time.monotonic() - since:.0f} s"
            except TimeoutError:
                continue
            except OSError:
                return f"closed after {time.monotonic() - since:.0f} s"
    return "still there after 90 s"


def memory(pid: int, field: str = "VmRSS") -> int:
    """Resident megabytes of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(field))


def main() -> None:
    """Run one of the four."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["load", "changes", "hostile", "schema"])
    parser.add_argument("index", type=Path)
    parser.add_argument("queries", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kept", type=Path, default=Path("changes.jsonl"))
    parser.add_argument("--files", type=int, default=500)
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if options.what == "schema":
        sys.exit(schema(options.index))
    if options.what == "hostile":
        found = hostile(options.index, options.files)
    elif options.queries is None:
        parser.error("a folder of images is needed")
    elif options.what == "load":
        found = load(
            options.index, read(options.queries), options.seconds, options.rounds, ["--batch", str(options.batch)]
        )
    else:
        found = changes(options.index, read(options.queries), options.requests, options.kept)
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
