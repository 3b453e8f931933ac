"""Proofs of the default model, checked by the independent checker: confirmed as they are, refuted when edited.

    python docs/benchmarks/check_proofs.py --data ../shared/data --home /tmp/proofs [--part confirm|edit|mutate|time]

Four indexes of photographs from ``dev``: 60 as they are, with local thresholds calibrated on 40 others; the same with
rules, a negative bank of twelve and a reach for twenty; 12 with 16 stored views each, every one compared with the query
(``light/1``); and 16 with the views of ``light``, of the query too. Queries: 20 stored photographs, the same
brightened, cropped or saved again, and 20 that are not stored. One of them, at a quarter of its size, is asked about
every family of edits, two others about nine; ten are asked among the rows of a part of the index alone. Parts may run
one after the other; figures are kept in ``HOME/figures.json`` and printed. Models, the embedding of each image and the
members of families are computed once for all proofs, by the checker's own functions; ``time`` does without.
"""

# ruff: noqa: S311 - draws are for tests
from __future__ import annotations

import argparse
import copy
import json
import math
import random
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance

from retr.certificates import verify_network, verify_proof, verify_ranges
from retr.certificates.statement import ProofObject, read_proof
from retr.core.files import digest_json
from retr.core.progress import Silent
from retr.images.families.asked import read_families
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.rules import check_rules
from retr.indexer.writer import Writer
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine
from retr.retrieval.proofs import proofs_of_outcome
from retr.retrieval.query import query_files

WORDS = {"versions", "decoder", "method", "asked"}
"""What the checker cannot compute again and says so (docs/proofs.md)."""
VIEWED, PAIRED, STORED, NEGATIVES = 12, 16, 60, 40
SETS = {"plain": "plain", "views": "views", "part": "plain", "edits": "plain"} | {
    name: name.partition("-")[0] for name in ("light", "rules", "rules-part", "rules-unsilenced", "rules-edits")
}
"""Folder of proofs → index that they are of."""
BANKS = ("allowed", "logos", "other", "logos", "other")
EDITS = (
    *("jpeg", "jpeg-444", "webp", "brightness", "contrast", "contrast-mean", "gamma", "exposure", "saturation"),
    *("fade-white", "fade-black", "brightness-contrast", "crop:98", "downscale", "downscale-bilinear"),
    *("downscale-box", "rescale:80", "downscale-jpeg:80", "flip", "quarter-turns", "bits", "palette:192..256"),
    *("rotation:-0.5..0.5", "shift:-0.2..0.2"),
)
FEWER = ("jpeg", "webp:60..95", "brightness", "gamma", "saturation", "downscale:70", "crop:98", "flip", "bits")
"""What the second and the third of the queries are asked about."""


def prepare(data: Path, home: Path) -> None:
    """Indexes, queries and proofs."""
    files = sorted((data / "dev").glob("*/*.jpg"))
    random.Random(0).shuffle(files)
    names = list(map(str, files))
    home.mkdir(parents=True, exist_ok=True)
    stored, negatives, others = names[:STORED], names[STORED : STORED + NEGATIVES], names[STORED + NEGATIVES :]
    queries = [*map(Path, stored[:20]), *edited_queries(stored[:20], home / "queries"), *map(Path, others[:20])]
    kinds = (
        ("plain", STORED, "none"),
        ("rules", STORED, "none"),
        ("views", VIEWED, "light/1"),
        ("light", PAIRED, "light"),
    )
    (home / "banks.csv").write_text(
        "path,bank\n" + "".join(f"{name},{BANKS[n % 5]}\n" for n, name in enumerate(stored)), encoding="utf-8"
    )
    for name, count, views in kinds:
        (home / f"{name}.txt").write_text("\n".join(names[:count]) + "\n", encoding="utf-8")
        if not (home / name / "CURRENT").exists():
            labels = home / "banks.csv" if name == "rules" else None
            options = IndexOptions(views=views, workers=1, label_file=labels)
            build_index(str(home / f"{name}.txt"), home / name, options, Silent())
            if name in ("plain", "rules"):
                calibrate(home / name, negatives, fpr=0.05)
            if name == "rules":
                with Writer(home / name) as writer:
                    writer.rule(check_rules(["bank=allowed"], {"bank=logos": 0.8, "path~*[13579].jpg": 1.1}))
        engine = Engine.open(home / name, device="cpu")
        asked = queries[::2] if name == "light" else queries[:40] if name == "rules" else queries
        write(home / "proofs" / name, engine, list(map(str, asked)))
    where = Engine.open(home / "rules", device="cpu", where=["bank!=logos"])
    write(home / "proofs" / "rules-part", where, list(map(str, queries[::6])))
    every = Engine.open(home / "rules", device="cpu", unsilenced=True)
    write(home / "proofs" / "rules-unsilenced", every, list(map(str, queries[::6])))
    write(home / "proofs" / "rules-edits", every, [quarter(queries[1], home / "queries")], "jpeg:60..95", "brightness")
    part = Engine.open(home / "plain", device="cpu", where=["path~*[02468].jpg"])
    write(home / "proofs" / "part", part, list(map(str, queries[::6])))
    engine = Engine.open(home / "plain", device="cpu")
    for asked, families in ((queries[0], EDITS), (queries[21], FEWER), (queries[-1], FEWER)):
        for family in families:  # one after the other: who waits sees how far it is
            write(home / "proofs" / "edits", engine, [quarter(asked, home / "queries")], family)


def write(folder: Path, engine: Engine, queries: list[str], *edits: str) -> None:
    """All proofs of some queries; with families of edits those of edits alone."""
    against = read_families(edits) if edits else ()
    for outcome in query_files(engine, queries, k=2, certify=True, eps=1.0, against=against):
        for proof in proofs_of_outcome(engine, outcome):
            if not edits or proof.claim["kind"] == "ranges":
                print(proof.write(folder), flush=True)


def quarter(photograph: Path, folder: Path) -> str:
    """A copy at a quarter of the size, so that its members are soon made."""
    with Image.open(photograph) as image:
        small = image.convert("RGB").resize((image.width // 4, image.height // 4), Image.Resampling.LANCZOS)
    small.save(folder / f"{photograph.stem}-quarter.png")
    return str(folder / f"{photograph.stem}-quarter.png")


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

    digest = verify_network.sha256
    network: Any = verify_network
    base: Any = verify_proof
    ranges: Any = verify_ranges
    network.conv_norm = once(network.conv_norm, lambda kernel: digest(kernel.tobytes()))
    network.matrix_norm = once(network.matrix_norm, lambda matrix: digest(matrix.tobytes()))
    model = network.Model

    def file_of(index: Path, channel: Any) -> Any:
        file = None if channel["model_file"] is None else index / channel["model_file"]
        return json.dumps(channel), file and (str(file), file.stat().st_mtime_ns)

    class Known(model):
        def see(self, net: Any) -> Any:
            name = ("see", self.digest, net.error, digest(net.x.tobytes()))
            if name not in known:
                known[name] = super().see(net)
            vars(net).update(vars(known[name]))
            return net

    network.Model = once(Known, file_of)
    resized = once(network.resized, lambda pixels, side: (digest(pixels.tobytes()), side))

    def resized_anew(pixels: Any, side: int) -> Any:
        net, rho = resized(pixels, side)
        return copy.copy(net), rho

    network.resized = resized_anew
    ranges.make = once(ranges.make, lambda name, pixels, at, _: (name, digest(pixels.tobytes()), tuple(at)))
    base.check_image = once(base.check_image, lambda said, _: (json.dumps(said["query"]), json.dumps(said["decode"])))


def proofs(home: Path) -> list[tuple[str, ProofObject]]:
    """(name of the index, proof)."""
    return [(file.parent.name, read_proof(file)) for file in sorted((home / "proofs").glob("*/*.json"))]


def found(home: Path, statement: Any, index: Path) -> verify_proof.Finding:
    """What the checker says of a statement."""
    file = home / "one.json"
    file.write_bytes(statement if isinstance(statement, bytes) else json.dumps(statement).encode())
    return verify_ranges.verify(file, index)


def resealed(statement: Any) -> Any:
    """With a digest that fits, as a careful forger leaves it."""
    bare = json.loads(json.dumps(statement))
    bare["predicate"].pop("digest", None)
    return {**bare, "predicate": {**bare["predicate"], "digest": digest_json(bare)}}


def confirm(home: Path) -> dict[str, Any]:
    """All proofs as they are."""
    counts: Counter[str] = Counter()
    gap, shares = 0.0, []
    for name, proof in proofs(home):
        said = found(home, proof.statement, home / SETS[name])
        kind = proof.claim["kind"]
        what = f"{proof.predicate['family']['name']} {proof.claim['what']}" if kind == "ranges" else kind
        counts[f"{name}, {what}: {said.verdict}"] += 1
        if said.verdict != "confirmed":
            print(proof.name, said)
        gap = max(gap, proof.claim.get("slack", 0.0))
        if "slack" in proof.claim:
            shares.append(proof.claim["slack"] / proof.claim["radius"]["l2"])
    return {"verdicts": dict(sorted(counts.items())), "total": sum(counts.values()), "largest_slack": gap} | {
        "slack as a share of the radius, median and largest": [statistics.median(shares), max(shares)]
    }


def edit(home: Path) -> dict[str, Any]:
    """Edited proofs, with the digest as it was and made anew, and proofs of edited files."""
    counts: Counter[str] = Counter()
    draw = random.Random(1)
    copies = {name: list(tampered_indexes(home, name)) for name in sorted(set(SETS.values()))}
    for number, (name, proof) in enumerate(proofs(home)):
        for what, statement, index in edits(home / SETS[name], proof, draw, copies[SETS[name]]):
            kind = f"of edits, {what}" if name.endswith("edits") else what
            counts[f"{kind}: {found(home, statement, index).verdict}"] += 1
            if index != home / SETS[name] or number % 5:
                continue  # of each fifth proof, because all is computed again
            verdict = found(home, resealed(statement), index).verdict
            counts[f"digest made anew, {kind}: {verdict}"] += 1
            if verdict == "confirmed":
                print(proof.name, what, differences(statement, proof.statement)[:4])
    return {"verdicts": dict(sorted(counts.items())), "total": sum(counts.values())}


def edits(index: Path, proof: ProofObject, draw: random.Random, tampered: list[tuple[str, Path]]) -> Iterator[Any]:
    """(what, statement, index) of some edits of one proof."""
    fields = [
        path for path in leaves(proof.statement) if not WORDS & set(path) and path[-2:] != ("predicate", "digest")
    ]
    numbers = [path for path in fields if isinstance(value_at(proof.statement, path), int | float)]
    digests = [path for path in fields if "sha256" in str(path[-1]) or path[-1] in ("digest", "snapshot", "id")]
    for what, pool, count in (("a number", numbers, 5), ("a digest", digests, 2), ("any field", fields, 2)):
        for path in draw.sample(pool, count):
            yield what, changed(proof.statement, path), index
    for factor in (1.0 - 1e-5, 1.0 + 1e-6, 1.5) if proof.claim["kind"] != "ranges" else ():
        yield "the radius and all that depends on it", scaled(proof, factor), index
    if proof.claim["kind"] == "ranges":
        yield "ε × 100 and all that depends on it", larger_budget(proof, 100.0), index
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
    other = json.loads(json.dumps(statement))
    place, value = value_at(other, path[:-1]), value_at(other, path)
    if isinstance(value, bool):
        place[path[-1]] = not value
    elif isinstance(value, int):
        place[path[-1]] = value + 1
    elif isinstance(value, float):
        place[path[-1]] = value * (1.0 + 1e-5) if value else 1e-3
    else:
        place[path[-1]] = ("b" if value[:1] == "a" else "a") + value[1:]
    return other


def scaled(proof: ProofObject, factor: float) -> Any:
    """What a careful forger writes."""
    other = json.loads(json.dumps(proof.statement))
    claim, n = other["predicate"]["claim"], other["predicate"]["query"]["values"]
    old = claim["radius"]
    new = old["l2"] * factor
    claim["radius"] = {
        "l2": new,
        "rmse": 255.0 * new / n**0.5,
        "psnr": old["psnr"] - 20.0 * math.log10(factor),
    }
    claim["sentence"] = claim["sentence"].replace(repr(old["l2"]), repr(new))
    return other


def larger_budget(proof: ProofObject, factor: float) -> Any:
    """The same of edits."""
    other = json.loads(json.dumps(proof.statement))
    claim, eps = other["predicate"]["claim"], proof.claim["eps"]["value"]
    claim["eps"]["value"] = eps * factor
    claim["sentence"] = claim["sentence"].replace(f"at most {eps!r}", f"at most {eps * factor!r}")
    claim["radius"] = {name: value * factor for name, value in claim["radius"].items()}
    claim["radius"]["psnr"] = proof.claim["radius"]["psnr"] - 20.0 * math.log10(factor)
    for cell in other["predicate"]["cells"]:
        pairs = zip(cell["r"], cell["moved"], strict=True)
        cell["moved"] = [r + factor * (moved - r) for r, moved in pairs]
    return other


def tampered_indexes(home: Path, name: str) -> Iterator[tuple[str, Path]]:
    """(what, folder) of copies of an index with one bit flipped in one file."""
    patterns = {"the model": "models/*", "a row": "segments/*/rows-?.*", "an item": "segments/*/row-keys.bin"}
    patterns |= {"a view": "segments/*/row-names.bin"} if name in ("light", "rules") else {}
    patterns |= {"a label": "labels/*.json"} if name == "rules" else {}
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
        said = found(home, bytes(data), home / SETS[name])
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
    home.mkdir(parents=True, exist_ok=True)
    (home / "large.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    other = str(sorted((data / "dev").glob("*/*.jpg"))[1300])
    edits = read_families(["jpeg", "brightness", "crop:95"])
    seconds: dict[str, Any] = {}
    for index, views in (("large", "light/1"), ("large-light", "light")):
        if not (home / index / "CURRENT").exists():
            build_index(str(home / "large.txt"), home / index, IndexOptions(views=views, workers=1), Silent())
        engine = Engine.open(home / index, device="cpu")
        for query, against in ((names[0], edits if index == "large" else []), (other, [])):
            for outcome in query_files(engine, [query], k=2, certify=True, eps=1.0, against=against):
                for proof in proofs_of_outcome(engine, outcome):
                    kind = proof.claim["kind"]
                    kind = f"{proof.predicate['family']['asked']}, {proof.claim['what']}" if kind == "ranges" else kind
                    kind = f"{views}, {kind}"
                    if kind not in seconds:
                        began, processor = time.perf_counter(), time.process_time()
                        verdict = found(home, proof.statement, home / index).verdict
                        times = [time.perf_counter() - began, time.process_time() - processor]
                        seconds[kind] = [verdict, *(round(one, 2) for one in times)]
                        print(kind, seconds[kind], flush=True)
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
    if "time" in parts:
        figures["time"] = timing(options.data, home)
    memoised()
    for part in parts:
        if part not in ("prepare", "time"):
            figures[part] = {"confirm": confirm, "edit": edit, "mutate": mutate}[part](home)
        file.write_text(json.dumps(figures, indent=1))
        print(part, json.dumps(figures.get(part), indent=1), flush=True)


if __name__ == "__main__":
    main()
