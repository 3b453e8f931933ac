"""Proofs of the default model, checked by the independent checker: confirmed as they are, refuted when edited.

    python docs/benchmarks/check_proofs.py --data ../shared/data --home /tmp/proofs [--part confirm|edit|mutate|time]

Two indexes of photographs from ``dev``: 120 as they are, with local thresholds calibrated on 100 others, and 40 with
16 views each. Queries: 20 stored photographs, the same brightened, cropped or saved again, and 20 that are not stored.
Parts may run one after the other; figures are kept in ``HOME/figures.json`` and printed. The bounds of convolutions and
the embedding of each query are computed once for all proofs, by the checker's own functions; ``time`` does without.
"""

# ruff: noqa: S311 - draws are for tests
from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance

from retr.certificates import verify_proof
from retr.certificates.statement import ProofObject, read_proof
from retr.core.progress import Silent
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine
from retr.retrieval.proofs import proofs_of_outcome
from retr.retrieval.query import query_files

WORDS = {"versions", "decoder", "method"}
"""What the checker cannot compute again and says so (docs/proofs.md)."""
VIEWED, STORED, NEGATIVES = 40, 120, 100


def prepare(data: Path, home: Path) -> None:
    """Indexes, queries and proofs."""
    files = sorted((data / "dev").glob("*/*.jpg"))
    random.Random(0).shuffle(files)
    names = list(map(str, files))
    home.mkdir(parents=True, exist_ok=True)
    stored, negatives, others = names[:STORED], names[STORED : STORED + NEGATIVES], names[STORED + NEGATIVES :]
    queries = [*map(Path, stored[:20]), *edited_queries(stored[:20], home / "queries"), *map(Path, others[:20])]
    for name, count, views in (("plain", STORED, "none"), ("views", VIEWED, "light")):
        (home / f"{name}.txt").write_text("\n".join(names[:count]) + "\n", encoding="utf-8")
        if not (home / name / "CURRENT").exists():
            build_index(str(home / f"{name}.txt"), home / name, IndexOptions(views=views, workers=1), Silent())
            if name == "plain":
                calibrate(home / name, negatives, fpr=0.05)
        engine = Engine.open(home / name, device="cpu")
        for outcome in query_files(engine, list(map(str, queries)), k=2, certify=True, eps=1.0):
            for proof in proofs_of_outcome(engine, outcome):
                proof.write(home / "proofs" / name)


def edited_queries(names: list[str], folder: Path) -> Iterator[Path]:
    """Brightened, cropped, or saved again."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        image, file = Image.open(name).convert("RGB"), folder / f"{number:02d}.jpg"
        if number % 3 == 0:
            image = ImageEnhance.Brightness(image).enhance(1.15)
        elif number % 3 == 1:
            image = image.crop((3, 3, image.width - 3, image.height - 3))
        image.save(file, quality=70)
        yield file


def memoised() -> None:
    """The checker's costly functions, each computed once for each input."""
    known: dict[Any, Any] = {}

    def once(function: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            name = (function.__name__, key(*arguments))
            if name not in known:
                known[name] = function(*arguments)
            return known[name]

        return call

    checker: Any = verify_proof
    checker.conv_norm = once(checker.conv_norm, lambda kernel: checker.sha256(kernel.tobytes()))
    checker.matrix_norm = once(checker.matrix_norm, lambda matrix: checker.sha256(matrix.tobytes()))
    checker.embed = once(
        checker.embed,
        lambda gallery, number, pixels: (str(gallery.index), number, pixels.shape, checker.sha256(pixels.tobytes())),
    )


def proofs(home: Path) -> list[tuple[str, ProofObject]]:
    """(name of the index, proof)."""
    return [(file.parent.name, read_proof(file)) for file in sorted((home / "proofs").glob("*/*.json"))]


def found(home: Path, statement: Any, index: Path) -> verify_proof.Finding:
    """What the checker says of a statement."""
    file = home / "one.json"
    file.write_bytes(statement if isinstance(statement, bytes) else json.dumps(statement).encode())
    return verify_proof.verify(file, index)


def confirm(home: Path) -> dict[str, Any]:
    """All proofs as they are."""
    counts: Counter[str] = Counter()
    gap = 0.0
    for name, proof in proofs(home):
        said = found(home, proof.statement, home / name)
        counts[f"{name}, {proof.claim['kind']}: {said.verdict}"] += 1
        if said.verdict != "confirmed":
            print(proof.name, said)
        gap = max(gap, proof.claim["slack"])
    return {"verdicts": dict(sorted(counts.items())), "total": sum(counts.values()), "largest_slack": gap}


def edit(home: Path) -> dict[str, Any]:
    """Edited proofs, and proofs of edited files."""
    counts: Counter[str] = Counter()
    draw = random.Random(1)
    tampered = {name: list(tampered_indexes(home, name)) for name in ("plain", "views")}
    for name, proof in proofs(home):
        for what, statement, index in edits(home / name, proof, draw, tampered[name]):
            verdict = found(home, statement, index).verdict
            counts[f"{what}: {verdict}"] += 1
            if verdict == "confirmed":
                print(proof.name, what)
                (home / f"confirmed-{counts[f'{what}: {verdict}']}.json").write_text(json.dumps(statement))
    return {"verdicts": dict(sorted(counts.items())), "total": sum(counts.values())}


def edits(index: Path, proof: ProofObject, draw: random.Random, tampered: list[tuple[str, Path]]) -> Iterator[Any]:
    """(what, statement, index) of some edits of one proof."""
    fields = [path for path in leaves(proof.statement) if not WORDS & set(path) and path[-2:] != ("checker", "name")]
    numbers = [path for path in fields if isinstance(value_at(proof.statement, path), int | float)]
    digests = [path for path in fields if "sha256" in str(path[-1]) or path[-1] in ("digest", "snapshot", "id")]
    for what, pool, count in (("a number", numbers, 5), ("a digest", digests, 2), ("any field", fields, 2)):
        for path in draw.sample(pool, count):
            yield what, changed(proof.statement, path), index
    for factor in (1.0 - 1e-5, 1.0 + 1e-6, 1.5):
        yield "the radius and all that depends on it", scaled(proof, factor), index
    for what, other in draw.sample(tampered, 2):
        yield what, proof.statement, other


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything that holds nothing else, but null."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None and value is not None:
        yield path
    for key, one in inner or ():
        yield from leaves(one, (*path, key))


def value_at(value: Any, path: tuple[Any, ...]) -> Any:
    """What is there."""
    for key in path:
        value = value[key]
    return value


def changed(statement: Any, path: tuple[Any, ...]) -> Any:
    """A copy with one value changed a little."""
    copy = json.loads(json.dumps(statement))
    place, value = value_at(copy, path[:-1]), value_at(copy, path)
    if isinstance(value, bool):
        place[path[-1]] = not value
    elif isinstance(value, int):
        place[path[-1]] = value + 1
    elif isinstance(value, float):
        place[path[-1]] = value * (1.0 + 1e-5) if value else 1e-3
    else:
        place[path[-1]] = ("b" if value[:1] == "a" else "a") + value[1:]
    return copy


def scaled(proof: ProofObject, factor: float) -> Any:
    """What a careful forger writes."""
    copy = json.loads(json.dumps(proof.statement))
    claim, n = copy["predicate"]["claim"], copy["predicate"]["query"]["values"]
    old = claim["radius"]
    new = old["l2"] * factor
    claim["radius"] = {
        "l2": new,
        "rmse": 255.0 * new / n**0.5,
        "psnr": old["psnr"] - 20.0 * verify_proof.math.log10(factor),
    }
    claim["sentence"] = claim["sentence"].replace(repr(old["l2"]), repr(new))
    return copy


def tampered_indexes(home: Path, name: str) -> Iterator[tuple[str, Path]]:
    """(what, folder) of copies of an index with one bit flipped in one file."""
    patterns = {"the model": "models/*", "a row": "segments/*/rows-?.*", "an item": "segments/*/row-keys.bin"}
    for what, pattern in {**patterns, "a threshold": "snapshots/*.json"}.items():
        target = home / "tampered" / f"{name}-{what.split()[-1]}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(home / name, target)
        for file in target.glob(pattern):
            data = bytearray(file.read_bytes())
            at = data.find(b'"threshold":{') + 20 if what == "a threshold" else len(data) // 2
            at = data.find(b'"value":0.', at) + 12 if what == "a threshold" else at
            data[at] ^= 1
            file.write_bytes(data)
        yield what, target


def mutate(home: Path) -> dict[str, Any]:
    """2,000 files with bytes changed, lost or put in: nothing may crash, and none may be confirmed that says else."""
    draw, counts, known = random.Random(2), Counter[str](), proofs(home)
    parts = (b"", b"\x00", b"9", b"{", b"[" * 5000, b'"', b"\xff", b"NaN", b"1e999", b"9" * 5000, b"-", b",")
    for number in range(2000):
        name, proof = known[number % len(known)]
        data = bytearray(proof.as_bytes())
        for _ in range(draw.choice((1, 1, 2, 20))):
            at = draw.randrange(len(data))
            data[at : at + draw.choice((0, 1, 1, 9, 500))] = draw.choice(parts)
        said = found(home, bytes(data), home / name)
        counts[said.verdict] += 1
        if said.verdict == "confirmed":
            print("confirmed:", differences(json.loads(bytes(data)), proof.statement))
    return {"verdicts": dict(counts), "total": sum(counts.values()), "crashes": 0}


def differences(one: Any, other: Any) -> list[Any]:
    """What differs."""
    paths = {*leaves(one), *leaves(other)}
    return [(path, value_at(one, path)) for path in paths if value_at(one, path) != value_at(other, path)]


def timing(data: Path, home: Path) -> dict[str, Any]:
    """Seconds for one proof of each kind at 20,000 rows, nothing kept from one to the next."""
    names = [str(file) for file in sorted((data / "dev").glob("*/*.jpg"))[:1250]]
    (home / "large.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    if not (home / "large" / "CURRENT").exists():
        build_index(str(home / "large.txt"), home / "large", IndexOptions(views="light", workers=1), Silent())
    engine = Engine.open(home / "large", device="cpu")
    queries = [names[0], str(sorted((data / "dev").glob("*/*.jpg"))[1300])]
    seconds: dict[str, Any] = {}
    for outcome in query_files(engine, queries, k=2, certify=True, eps=1.0):
        for proof in proofs_of_outcome(engine, outcome):
            if proof.claim["kind"] not in seconds:
                began, processor = time.perf_counter(), time.process_time()
                verdict = found(home, proof.statement, home / "large").verdict
                times = [time.perf_counter() - began, time.process_time() - processor]
                seconds[proof.claim["kind"]] = [verdict, *(round(one, 2) for one in times)]
    return {"rows": engine.gallery.table.live_rows, "wall and processor seconds": seconds}


def main() -> None:
    """Run a part, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--part", choices=("prepare", "confirm", "edit", "mutate", "time"), action="append")
    options = parser.parse_args()
    home, file = options.home, options.home / "figures.json"
    parts = options.part or ["prepare", "time", "confirm", "edit", "mutate"]
    if "prepare" in parts:
        prepare(options.data, home)
    figures = json.loads(file.read_text()) if file.exists() else {}
    for part in parts:
        if part == "time":
            figures[part] = timing(options.data, home)
        elif part != "prepare":
            memoised()
            figures[part] = {"confirm": confirm, "edit": edit, "mutate": mutate}[part](home)
        file.write_text(json.dumps(figures, indent=1))
        print(part, json.dumps(figures.get(part), indent=1), flush=True)


if __name__ == "__main__":
    main()
