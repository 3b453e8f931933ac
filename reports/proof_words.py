"""A proof in plain sentences, and as a page to print with the two pictures."""

from __future__ import annotations

from pathlib import Path

from ..certificates.statement import ProofObject
from ..core.files import sha256_bytes
from ..core.units import Radius
from ..indexer.addresses import text_to_path
from .audit_page_images import thumbnail_picture
from .numbers import radius_inline
from .pages import page

_CLAIMS = {
    "first-place": "the picture {item} is the first match",
    "among-k": "the picture {item} is among the first {k} matches",
    "copy": "the verdict is: a copy of {item}",
    "not-a-copy": "the verdict is: not a copy of anything in the index",
}


def sentences(proof: ProofObject) -> list[str]:
    """What a proof says, for people: the claim, what it is about, what was looked at, and what it does not say."""
    said, claim = proof.predicate, proof.claim
    query, index = said["query"], said["index"]
    radius = Radius(float(claim["radius"]["l2"]), int(query["values"]))
    item = claim["item"]["path"] if claim["item"] else "something in the index"
    words = _CLAIMS[claim["kind"]].format(item=item, k=claim["k"])
    rival = said["rival"]
    found = [
        f"The claim: {words}, for the query as it is and for every image of {query['width']} × {query['height']} "
        f"pixels that differs from it by less than {radius_inline(radius)}.",
        f"The query: {query['path'] or 'an image without a file'}; SHA-256 of its pixels {query['pixels_sha256']}.",
        f"The index: snapshot {index['snapshot']}; {index['rows_scanned']} of {index['rows_total']} rows compared.",
        "The models: " + "; ".join(_model(one) for one in said["channels"]) + ".",
    ]
    if rival is not None:
        found.append(f"What limits it: {rival['item']['path']}.")
    if not claim["tight"]:
        found.append("A larger radius would hold too; rows that were not listed were counted at their bound.")
    return [
        *found,
        "It says nothing about images that differ more, such as crops, rotations or recompressions beyond that "
        "distance, nor about other models, thresholds or indexes, nor about who made or owns a picture.",
        f"By itself this file proves nothing: check it, with the index and the query's file, by {_checker(proof)}.",
    ]


def write_proof_page(path: Path, proof: ProofObject, *, image: Path | None, verdict: str | None) -> None:
    """A page that needs no other file: the sentences, and both pictures where their files are what the proof names.

    Args:
        path: the HTML file.
        proof: what it says.
        image: the query's file; None for the path that the proof names.
        verdict: of the checker; None where it was not asked.
    """
    query, item = proof.predicate["query"], proof.claim["item"] or (proof.predicate["rival"] or {}).get("item")
    named = image if image is not None else None if query["path"] is None else Path(text_to_path(query["path"]))
    pictures = [("The query", *_picture(named, query["bytes_sha256"]))]
    if item is not None:
        title = "The picture of the index" if proof.claim["item"] else "The nearest picture of the index"
        pictures.append((title, *_picture(Path(text_to_path(item["path"])), item["bytes_sha256"])))
    text = page("proof.html.j2", claim=proof.claim, sentences=sentences(proof), pictures=pictures, verdict=verdict)
    path.write_text(text, encoding="utf-8")


def _picture(path: Path | None, digest: str | None) -> tuple[str, str | None]:
    """(what is shown, the picture as a data address); no picture where the file is another one."""
    if path is None or not path.is_file():
        return f"{path or 'no file'}: not there", None
    data = path.read_bytes()
    if digest is not None and sha256_bytes(data) != digest:
        return f"{path}: another file than the proof names", None
    return str(path), thumbnail_picture(data)


def _model(channel: dict[str, object]) -> str:
    bound = channel["lipschitz"]
    assert isinstance(bound, dict)
    return f"{channel['name']} (SHA-256 {str(channel['model_digest'])[:16]}…, no larger stretch than {bound['value']})"


def _checker(proof: ProofObject) -> str:
    named = proof.predicate["checker"]
    return f"{named['name']}, SHA-256 {named['sha256']}"
