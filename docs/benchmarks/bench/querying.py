"""Queries of the index that the part before has made: opening it, one at a time, many at once, and from the shell."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import torch
from measuring import Setting, megabytes, rates, table

from retr.images.decode import load
from retr.images.policy import DecodePolicy
from retr.images.resize import resize_operator
from retr.retrieval.engine import Engine

BATCH = 64


def queries(setting: Setting) -> dict[str, object]:
    """Queries a second, in rounds, on one thread."""
    index, size = setting.work / "index", setting.size
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    began = time.perf_counter()
    engine = Engine.open(index)
    opened = time.perf_counter() - began
    paths = _queries(setting)[: size.queries]
    images = [load(path, policy=DecodePolicy()).pixels for path in paths]
    rows = [np.concatenate(channel.store.parts) for channel in engine.channels]
    batch = (images * BATCH)[:BATCH]

    def ask(*, certify: bool) -> int:
        for pixels in images:
            engine.answer(pixels, k=10, certify=certify)
        return len(images)

    def many() -> int:
        engine.answer_many(batch, k=10, certify=True)
        return len(batch)

    jobs = {
        "query --certify": lambda: ask(certify=True),
        "query": lambda: ask(certify=False),
        f"query --certify, {BATCH} at once": many,
        "FAISS flat and the networks in float64": lambda: _bare(engine, rows, images),
        "FAISS flat alone": lambda: _flat(rows, len(images)),
    }
    for job in jobs.values():  # what is made once is made
        job()
    found = rates(jobs, size.rounds)
    milliseconds = {name: [1e3 / rate for rate in each] for name, each in found.items()}
    certified, plain = milliseconds["query --certify"], milliseconds["query"]
    beyond = sorted(a / b - 1.0 for a, b in zip(certified, plain, strict=True))
    return {
        "items": engine.gallery.items,
        "channels": [[one.name, one.store.rows, one.store.dim] for one in engine.channels],
        "open, s": opened,
        "rows, ms": table(milliseconds, "query --certify"),
        "certificate beyond the plain answer": beyond[len(beyond) // 2],
        "peak MB": megabytes(),
    }


def _queries(setting: Setting) -> list[Path]:
    """Photographs that are no part of the index where there are any."""
    dev = [] if setting.data is None else sorted(setting.data.glob("dev/*/*.jpg"))
    found = dev or setting.photographs()
    return found[:: max(1, len(found) // setting.size.queries)]


def _bare(engine: Engine, rows: list[np.ndarray], images: list[np.ndarray]) -> int:
    """What a search costs that proves nothing: the same networks in float64, and FAISS over the same rows."""
    for pixels in images:
        for channel, own in zip(engine.channels, rows, strict=True):
            resize = resize_operator((pixels.shape[0], pixels.shape[1]), channel.embedder.input_size)
            with torch.inference_mode():
                z = channel.embedder.forward(resize.apply_levels(pixels, torch.float64)[None]).numpy()
            z = (z / np.linalg.norm(z)).astype(np.float32)
            faiss.knn(z, own, 10, metric=faiss.METRIC_INNER_PRODUCT)
    return len(images)


def _flat(rows: list[np.ndarray], count: int) -> int:
    for number in range(count):
        for own in rows:
            faiss.knn(own[number : number + 1], own, 10, metric=faiss.METRIC_INNER_PRODUCT)
    return count


def cold(setting: Setting) -> dict[str, object]:
    """``retr query`` from the shell, each time in a new process; memory is that of the largest."""
    query, index = str(_queries(setting)[0]), str(setting.work / "index")
    # What is installed is compiled once. So it is here, whatever the environment says and whoever may write beside the
    # sources: the first start compiles all modules into a folder of the benchmark's, and is not measured.
    shell = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    shell["PYTHONPYCACHEPREFIX"] = str(setting.work / "compiled")

    def run(*words: str) -> int:
        line = [sys.executable, "-m", "retr", *words]
        subprocess.run(line, check=True, capture_output=True, env=shell)  # noqa: S603 - own words
        return 1

    jobs = {
        "retr query": lambda: run("query", query, "-i", index),
        "retr query --certify": lambda: run("query", query, "-i", index, "--certify"),
        "retr --version": lambda: run("--version"),
    }
    for job in jobs.values():
        job()
    found = rates(jobs, setting.size.rounds)
    return {
        "rows, s": table({name: [1.0 / one for one in each] for name, each in found.items()}),
        "peak MB": megabytes(),
    }
