"""A proof in plain sentences, and as a page to print with the two pictures."""

from __future__ import annotations

import json
from pathlib import Path

from ..certificates.statement import ProofObject
from ..core.files import sha256_bytes
from ..core.units import Radius
from ..images.families.words import number
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

_HEADINGS = {
    "first-place": "First place",
    "among-k": "Among the first {k}",
    "copy": "A copy",
    "not-a-copy": "Not a copy",
}


def sentences(proof: ProofObject) -> list[str]:
    """What a proof says, for people: the claim, what it is about, what was looked at, and what it does not say."""
    said, claim = proof.predicate, proof.claim
    query = said["query"]
    if claim["kind"] == "ranges":
        return about_edits(proof)
    radius = Radius(float(claim["radius"]["l2"]), int(query["values"]))
    item = claim["item"]["path"] if claim["item"] else "something in the index"
    words = _CLAIMS[claim["kind"]].format(item=item, k=claim["k"])
    rival = said["rival"]
    found = [
        f"The claim: {words}, for the query as it is and for every image of {query['width']} × {query['height']} "
        f"pixels that differs from it by less than {radius_inline(radius)}{_among(proof)}.",
        *_about(proof),
    ]
    if rival is not None:
        found.append(f"What limits it: {rival['item']['path']}.")
    if not claim["tight"]:
        found.append("A larger radius would hold too; rows that were not listed were counted at their bound.")
    return [
        *found,
        "It says nothing about images that differ more, such as crops, rotations or recompressions beyond that "
        "distance, nor about other models, thresholds or indexes, nor about who made or owns a picture.",
        _check_it(proof),
    ]


def about_edits(proof: ProofObject) -> list[str]:
    """The same of a claim about a family of edits."""
    said, claim, family = proof.predicate, proof.claim, proof.predicate["family"]
    ends = zip(family["parameters"], family["low"], family["high"], strict=True)
    span = ", ".join(f"{name} from {number(low)} to {number(high)}" for name, low, high in ends)
    named = None if claim["item"] is None else claim["item"]["path"]
    words = _CLAIMS[claim["what"]].format(item=named, k=None)
    radius = Radius(float(claim["radius"]["l2"]), int(said["query"]["values"]))
    return [
        f"The claim: {words}, for every edited version of the query by {family['name']}, {span}, and for every image "
        f"of such a version's size that differs from it by at most {near(claim['eps'], radius)}{_among(proof)}.",
        f"What makes the edits: {family['program']}.",
        f"How it is proved: {stand(len(said['cells']))} for all of these versions, near each of them.",
        *_about(proof),
        "It says nothing about changes that are made before the edit, about other edits or several of them, nor about "
        "other models, thresholds or indexes, nor about who made or owns a picture.",
        _check_it(proof),
    ]


def near(eps: dict[str, object], radius: Radius) -> str:
    """The change on top, as it was asked for."""
    amount = number(float(str(eps["value"])))
    return {"rmse": f"RMSE {amount}", "psnr": f"PSNR {amount} dB"}.get(str(eps["unit"]), radius_inline(radius))


def heading(proof: ProofObject) -> str:
    """What is claimed, in a word or two."""
    claim = proof.claim
    if claim["kind"] == "ranges":
        return f"{_HEADINGS[claim['what']]}, edited by {proof.predicate['family']['name']}"
    return _HEADINGS[claim["kind"]].format(k=claim["k"])


def stand(many: int) -> str:
    """``1 image stands``, ``2 images stand``."""
    return "1 image stands" if many == 1 else f"{many} images stand"


def _about(proof: ProofObject) -> list[str]:
    said = proof.predicate
    query, index = said["query"], said["index"]
    return [
        f"The query: {query['path'] or 'an image without a file'}; SHA-256 of its pixels {query['pixels_sha256']}.",
        f"The index: snapshot {index['snapshot']}; {index['rows_scanned']} of {index['rows_total']} rows compared.",
        "The models: " + "; ".join(_model(one) for one in said["channels"]) + ".",
    ]


def _among(proof: ProofObject) -> str:
    """Whose claim it is, and which rows it speaks of: what its sentence ends with."""
    index = proof.predicate["index"]
    found = f", among the rows where {' and '.join(map(json.dumps, index['where']))}" if index["where"] else ""
    found += ", as if no bank were negative" * index["unsilenced"]
    found += ", by the certified channels alone" * index["certified_only"]
    thresholds = [one["threshold"] for one in proof.predicate["channels"] if one["threshold"]]
    given = [one["value"] for one in thresholds if one["source"] == "given"]
    return found + "".join(f", at a threshold of {one!r} given in place of the index's own" for one in given)


def _check_it(proof: ProofObject) -> str:
    named = proof.predicate["checker"]
    checker = f"{named['name']}, SHA-256 {named['sha256']}"
    return f"By itself this file proves nothing: check it, with the index and the query's file, by {checker}."


def write_proof_page(path: Path, proof: ProofObject, *, image: Path | None, verdict: str | None) -> None:
    """A page that needs no other file: the sentences, and both pictures where their files are what the proof names.

    Args:
        path: the HTML file.
        proof: what it says.
        image: the query's file; None for the path that the proof names.
        verdict: of the checker; None where it was not asked.
    """
    query, item = proof.predicate["query"], proof.claim["item"] or (proof.predicate.get("rival") or {}).get("item")
    named = image if image is not None else None if query["path"] is None else Path(text_to_path(query["path"]))
    pictures = [("The query", *_picture(named, query["bytes_sha256"]))]
    if item is not None:
        title = "The picture of the index" if proof.claim["item"] else "The nearest picture of the index"
        pictures.append((title, *_picture(Path(text_to_path(item["path"])), item["bytes_sha256"])))
    text = page("proof.html.j2", heading=heading(proof), sentences=sentences(proof), pictures=pictures, verdict=verdict)
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
