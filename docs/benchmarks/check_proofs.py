"""Proofs of the default model, checked by the independent checker: confirmed as they are, refuted when edited.

    python docs/benchmarks/check_proofs.py --data ../shared/data --home /tmp/proofs [--part prepare|confirm|…]

Five indexes of photographs from ``dev``: 60 as they are, with local thresholds calibrated on 40 others; the same with
rules, a negative bank of twelve and a reach for twenty; the same beside a companion; 12 with 16 stored views each,
every one compared with the query (``light/1``); and 16 with the views of ``light``, of the query too. Queries: 20
stored photographs, the same brightened, cropped or saved again, and 20 that are not stored. One of them, at a quarter
of its size, is asked about every family of edits, two others about nine; ten are asked among the rows of a part of the
index alone. Parts may run one after the other, and go on where they were stopped (``--minutes`` stops them); figures
are kept in ``HOME/figures.json`` and printed. Models, the embedding of each image and the members of families are
computed once for all proofs, by the checker's own functions; ``time`` does without.
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
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageEnhance

from retr.certificates import verify_network, verify_proof, verify_ranges
from retr.certificates.statement import ProofObject, checker_json, read_proof
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
    name: name.partition("-")[0]
    for name in ("light", "rules", "rules-part", "rules-unsilenced", "rules-edits", "beside", "beside-alone")
}
"""Folder of proofs → index that they are of."""
BANKS = ("allowed", "logos", "other", "logos", "other")
EDITS = (
    *("jpeg", "jpeg-444", "webp", "brightness", "contrast", "contrast-mean", "gamma", "exposure", "saturation"),
    *("fade-white", "fade-black", "brightness-contrast", "crop:98", "downscale", "downscale-bilinear"),
    *("downscale-box", "rescale:80", "downscale-jpeg:80", "flip", "quarter-turns", "bits", "palette:192..256"),
    *("rotation:-0.5..0.5", "shift:-0.2..0.2", "blur:0..0.8"),
)
FEWER = (
    "jpeg",
    "webp:60..95",
    "brightness",
    "gamma",
    "saturation",
    "downscale:70",
    "crop:98",
    "flip",
    "bits",
    "blur:0..0.5",
)
"""What the second and the third of the queries are asked about."""


def prepare(data: Path, home: Path) -> None:
    """Indexes, queries and proofs; what is there already is not made again."""
    files = sorted((data / "dev").glob("*/*.jpg"))
    random.Random(0).shuffle(files)
    names = list(map(str, files))
    home.mkdir(parents=True, exist_ok=True)
    stored, negatives, others = names[:STORED], names[STORED : STORED + NEGATIVES], names[STORED + NEGATIVES :]
    queries = [*map(Path, stored[:20]), *edited_queries(stored[:20], home / "queries"), *map(Path, others[:20])]
    kinds = (
        ("plain", STORED, "none"),
        ("rules", STORED, "none"),
        ("beside", STORED, "none"),
        ("views", VIEWED, "light/1"),
        ("light", PAIRED, "light"),
    )
    (home / "banks.csv").write_text(
        "path,bank\n" + "".join(f"{name},{BANKS[n % 5]}\n" for n, name in enumerate(stored)), encoding="utf-8"
    )
    for name, count, views in kinds:
        (home / f"{name}.txt").write_text("\n".join(names[:count]) + "\n", encoding="utf-8")
        if not (home / f"{name}.made").exists():
            shutil.rmtree(home / name, ignore_errors=True)
            labels = home / "banks.csv" if name == "rules" else None
            companion = companion_in(home) if name == "beside" else None
            options = IndexOptions(views=views, workers=1, label_file=labels, companion=companion)
            build_index(str(home / f"{name}.txt"), home / name, options, Silent())
            if name in ("plain", "rules", "beside"):
                calibrate(home / name, negatives, fpr=0.075 if name == "beside" else 0.05)
            if name == "rules":
                with Writer(home / name) as writer:
                    writer.rule(check_rules(["bank=allowed"], {"bank=logos": 0.8, "path~*[13579].jpg": 1.1}))
            (home / f"{name}.made").touch()
        asked = {"light": queries[::2], "rules": queries[:40], "beside": queries[::2]}.get(name, queries)
        write(home, name, name, {}, list(map(str, asked)))
    some = list(map(str, queries[::6]))
    write(home, "rules-part", "rules", {"where": ["bank!=logos"]}, some)
    write(home, "rules-unsilenced", "rules", {"unsilenced": True}, some)
    write(home, "beside-alone", "beside", {"certified_only": True}, some)
    write(home, "part", "plain", {"where": ["path~*[02468].jpg"]}, some)
    for family in ("jpeg:60..95", "brightness"):
        write(home, "rules-edits", "rules", {"unsilenced": True}, [quarter(queries[1], home / "queries")], family)
    for asked, families in ((queries[0], EDITS), (queries[21], FEWER), (queries[-1], FEWER)):
        for family in families:  # one after the other: who waits sees how far it is
            write(home, "edits", "plain", {}, [quarter(asked, home / "queries")], family)


class Colours(torch.nn.Module):
    """(b, 3, h, w) → (b, 24): a soft histogram of each colour, less its mean: a companion that needs no weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embed a batch."""
        centres = torch.linspace(0.0, 1.0, 8).view(1, 1, 8, 1)
        near = torch.exp(-200.0 * (x.flatten(2).unsqueeze(2) - centres) ** 2).mean(3)
        return (near - near.mean(2, keepdim=True)).flatten(1)


def companion_in(home: Path) -> str:
    """Write it; returns its spec."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is deprecated")
        torch.jit.save(torch.jit.trace(Colours(), torch.rand(1, 3, 64, 64)), str(home / "colours.pt"))
    return f"torchscript:{home / 'colours.pt'}@64x64"


def write(home: Path, folder: str, index: str, opened: dict[str, Any], queries: list[str], *edits: str) -> None:
    """All proofs of some queries, once; with families of edits those of edits alone."""
    done = home / "proofs" / folder / "-".join(["done", *(Path(queries[0]).stem,) * bool(edits), *edits])
    if done.exists():
        return
    engine, against = Engine.open(home / index, device="cpu", **opened), read_families(edits) if edits else ()
    for outcome in query_files(engine, queries, k=2, certify=True, eps=1.0, against=against):
        for proof in proofs_of_outcome(engine, outcome):
            if not edits or proof.claim["kind"] == "ranges":
                print(proof.write(done.parent), flush=True)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()


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
    read = [(file.parent.name, read_proof(file)) for file in sorted((home / "proofs").glob("*/*.json"))]
    return [(name, of_this_checker(proof)) for name, proof in read if name in SETS]


def of_this_checker(proof: ProofObject) -> ProofObject:
    """The same claim, naming the checker that runs, whichever that was when the proof was written."""
    checker = checker_json(proof.predicate["checker"]["name"])
    return ProofObject(resealed({**proof.statement, "predicate": {**proof.predicate, "checker": checker}}))


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


class Part:
    """What was found of each proof so far, one JSON line each: a part that is stopped goes on from there."""

    def __init__(self, home: Path, name: str, minutes: float) -> None:
        self.file, self.ends = home / f"{name}.jsonl", time.monotonic() + 60.0 * minutes
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.found: dict[str, Any] = dict(map(json.loads, lines))

    def each(self, known: Sequence[tuple[str, Any]], look: Callable[[str, Any], Any]) -> bool:
        """Look at every one of (key, what) that was not yet; whether all were, or time is up before."""
        for key, one in known:
            if key not in self.found:
                if time.monotonic() > self.ends:
                    return False
                self.found[key] = look(key, one)
                with self.file.open("a") as lines:
                    lines.write(json.dumps([key, self.found[key]]) + "\n")
        return True


def named(home: Path) -> list[tuple[str, tuple[str, ProofObject]]]:
    """(key, (name of the index, proof)) of every proof, in an order that mixes kinds."""
    known = [(f"{name}/{proof.name}", (name, proof)) for name, proof in proofs(home)]
    random.Random(3).shuffle(known)
    return known


def confirm(home: Path, minutes: float) -> dict[str, Any]:
    """All proofs as they are."""
    part = Part(home, "confirm", minutes)

    def look(key: str, one: tuple[str, ProofObject]) -> Any:
        name, proof = one
        said, kind = found(home, proof.statement, home / SETS[name]), proof.claim["kind"]
        what = f"{proof.predicate['family']['name']} {proof.claim['what']}" if kind == "ranges" else kind
        if said.verdict != "confirmed":
            print(key, said, flush=True)
        slack = proof.claim.get("slack")
        return [f"{name}, {what}: {said.verdict}", slack, slack and slack / proof.claim["radius"]["l2"]]

    whole = part.each(named(home), look)
    counts = Counter(what for what, _, _ in part.found.values())
    slacks = [(one, share) for _, one, share in part.found.values() if one is not None]
    return {"all": whole, "verdicts": dict(sorted(counts.items())), "total": sum(counts.values())} | {
        "largest_slack": max(one for one, _ in slacks),
        "slack as a share of the radius, median and largest": [
            statistics.median(share for _, share in slacks),
            max(share for _, share in slacks),
        ],
    }


def edit(home: Path, minutes: float) -> dict[str, Any]:
    """Edited proofs, with the digest as it was and made anew, and proofs of edited files."""
    part = Part(home, "edit", minutes)
    copies = {name: list(tampered_indexes(home, name)) for name in sorted(set(SETS.values()))}

    def look(key: str, one: tuple[str, ProofObject]) -> Any:
        (name, proof), counts, true = one, Counter[str](), []
        draw = random.Random(key)
        anew = draw.randrange(3) == 0  # of each third proof a third, because all is computed again
        for what, statement, index in edits(home / SETS[name], proof, draw, copies[SETS[name]]):
            kind = f"of edits, {what}" if name.endswith("edits") else what
            counts[f"{kind}: {found(home, statement, index).verdict}"] += 1
            if index != home / SETS[name] or not anew or draw.randrange(3):
                continue
            verdict = found(home, resealed(statement), index).verdict
            counts[f"digest made anew, {kind}: {verdict}"] += 1
            if verdict == "confirmed":
                true.append([what, differences(statement, proof.statement)[:4]])
                print(key, true[-1], flush=True)
        return [counts, true]

    whole = part.each(named(home), look)
    total = sum((Counter(counts) for counts, _ in part.found.values()), Counter[str]())
    kept = [[key, *one] for key, (_, true) in part.found.items() for one in true]
    return {"all": whole, "verdicts": dict(sorted(total.items())), "total": sum(total.values()), "confirmed": kept}


def edits(index: Path, proof: ProofObject, draw: random.Random, tampered: list[tuple[str, Path]]) -> Iterator[Any]:
    """(what, statement, index) of some edits of one proof."""
    fields = [
        path for path in leaves(proof.statement) if not WORDS & set(path) and path[-2:] != ("predicate", "digest")
    ]
    numbers = [path for path in fields if isinstance(value_at(proof.statement, path), int | float)]
    digests = [path for path in fields if "sha256" in str(path[-1]) or path[-1] in ("digest", "snapshot", "id")]
    for what, pool, count in (("a number", numbers, 12), ("a digest", digests, 6), ("any field", fields, 6)):
        for path in draw.sample(pool, min(count, len(pool))):
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


def mutate(home: Path, minutes: float) -> dict[str, Any]:
    """2,000 files with bytes changed, lost or put in: nothing may crash, and none may be confirmed that says else."""
    part, known = Part(home, "mutate", minutes), named(home)
    parts = (b"", b"\x00", b"9", b"{", b"[" * 5000, b'"', b"\xff", b"NaN", b"1e999", b"9" * 5000, b"-", b",")

    def look(key: str, one: tuple[str, ProofObject]) -> Any:
        (name, proof), draw = one, random.Random(key)
        data = bytearray(proof.as_bytes())
        for _ in range(draw.choice((1, 1, 2, 20))):
            at = draw.randrange(len(data))
            data[at : at + draw.choice((0, 1, 1, 9, 500))] = draw.choice(parts)
        said = found(home, bytes(data), home / SETS[name])
        differ = differences(json.loads(bytes(data)), proof.statement) if said.verdict == "confirmed" else []
        if differ:
            print("confirmed:", differ, flush=True)
        return [said.verdict, differ]

    whole = part.each([(str(number), known[number % len(known)][1]) for number in range(2000)], look)
    counts = Counter(verdict for verdict, _ in part.found.values())
    differ = [one for _, one in part.found.values() if one]
    return {"all": whole, "verdicts": dict(counts), "total": sum(counts.values()), "crashes": 0, "said else": differ}


def differences(one: Any, other: Any) -> list[Any]:
    """What differs."""
    paths = {*leaves(one), *leaves(other)}
    return [(path, value_at(one, path)) for path in paths if value_at(one, path) != value_at(other, path)]


LARGE: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("stored views", "large", "light/1", {"certified_only": True}),
    ("beside a companion", "large", "light/1", {}),
    ("light", "large-light", "light", {"unsilenced": True}),
    ("light, with a bank and a reach", "large-light", "light", {}),
)
"""(words, index, views, how it is opened): what is timed."""


TIMED = ("jpeg", "brightness", "crop:95", "blur:0..0.8", "rotation:-0.5..0.5")
"""Edits that are timed, of an index with stored views."""


def timing(data: Path, home: Path) -> dict[str, Any]:
    """Seconds for one proof of each kind at 20,000 rows, nothing kept from one to the next."""
    every = [str(file) for file in sorted((data / "dev").glob("*/*.jpg"))]
    home.mkdir(parents=True, exist_ok=True)
    (home / "large.txt").write_text("\n".join(every[:1250]) + "\n", encoding="utf-8")
    file = home / "time.json"
    seconds: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for words, index, views, opened in LARGE:
        if not (home / f"{index}.made").exists():
            large_index(home, index, views)
        folder = "time-" + words.replace(",", "").replace(" ", "-")
        write(home, folder, index, opened, [every[0], every[1300]])
        for family in TIMED if words == "stored views" else ():
            write(home, folder, index, opened, [every[0]], family)
        for proof in map(read_proof, sorted((home / "proofs" / folder).glob("*.json"))):
            kind = proof.claim["kind"]
            kind = f"{proof.predicate['family']['asked']}, {proof.claim['what']}" if kind == "ranges" else kind
            kind = f"{words}, {kind}"
            if kind not in seconds:
                statement = of_this_checker(proof).statement
                began, processor = time.perf_counter(), time.process_time()
                verdict = found(home, statement, home / index).verdict
                times = [time.perf_counter() - began, time.process_time() - processor]
                seconds[kind] = [verdict, proof.predicate["index"]["rows_total"], *(round(one, 2) for one in times)]
                file.write_text(json.dumps(seconds))
                print(kind, seconds[kind], flush=True)
    return {"verdict, rows, wall and processor seconds": seconds}


def large_index(home: Path, index: str, views: str) -> None:
    """1,250 photographs with 16 views each: 20,000 rows."""
    shutil.rmtree(home / index, ignore_errors=True)
    companion = companion_in(home) if index == "large" else None
    build_index(
        str(home / "large.txt"), home / index, IndexOptions(views=views, workers=1, companion=companion), Silent()
    )
    if index == "large-light":
        with Writer(home / index) as writer:
            writer.rule(check_rules(["path~*7.jpg"], {"path~*[13].jpg": 0.9}))
    (home / f"{index}.made").touch()


def main() -> None:
    """Run a part, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop a part after so long; it can go on later")
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
            figures[part] = {"confirm": confirm, "edit": edit, "mutate": mutate}[part](home, options.minutes)
        file.write_text(json.dumps(figures, indent=1))
        print(part, json.dumps(figures.get(part), indent=1), flush=True)


if __name__ == "__main__":
    main()
