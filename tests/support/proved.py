"""Small indexes whose answers are proved and checked in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from drawn import Quiet
from planted import draw_pictures, save_pictures

from retr.certificates.statement import ProofObject
from retr.certificates.verify_proof import Finding
from retr.certificates.verify_ranges import verify
from retr.core.files import digest_json
from retr.core.units import Unit
from retr.embedding.layers.linear import LinearDense
from retr.embedding.model_file import save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.retr_network import RetrArchitecture, RetrNetwork, retr_blueprint
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, sll_blueprint
from retr.images.families.asked import read_families
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.engine import Engine
from retr.retrieval.proofs import proofs_of_outcome
from retr.retrieval.query import query_files

SHAPE = RetrArchitecture(image=16, patch=4, widths=(12, 8), depths=(1, 1), dim=6)
COUNT = 14


def save_small(path: Path, *, layer: str = "orthogonal") -> Path:
    """A network of the shipped family, with random weights, as a model file."""
    torch.manual_seed(0)
    shape = replace(SHAPE, layer=layer)
    network = RetrNetwork(shape, generator=torch.Generator().manual_seed(0)).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    folded = network.fold()
    head = folded.get_submodule("head")
    assert isinstance(head, LinearDense)
    head.weight.mul_(torch.linspace(1.0, 0.4, len(head.weight))[:, None])  # not orthogonal: an estimate falls short
    save_model(NetworkEmbedder(folded, retr_blueprint(shape, "cosine"), name="small", spec="small"), path, {})
    return path


def save_lipsim(path: Path) -> Path:
    """A network of residual blocks alone, as LipSim has them."""
    shape = SLLArchitecture(
        image=12, channels=6, convs=2, conv_inner=4, pools=1, pool=2, denses=2, dense_inner=8, dim=40
    )
    network = SLLNetwork(shape, q_form="right", generator=torch.Generator().manual_seed(0)).fold()
    save_model(NetworkEmbedder(network, sll_blueprint(shape, "cosine"), name="small", spec="small"), path, {})
    return path


def proved_index(home: Path, models: tuple[str, ...], *, views: str = "none") -> Path:
    """An index of drawn pictures 000.png, … in ``home/corpus``; queries in ``home/queries``: two stored, two not."""
    pictures = draw_pictures(COUNT + 2, side=20)
    save_pictures(home / "corpus", pictures[:COUNT])
    save_pictures(home / "queries", [pictures[0], pictures[3], *pictures[COUNT:]])
    build_index(str(home / "corpus"), home / "index", IndexOptions(models=models, views=views, workers=1), Quiet())
    return home / "index"


def proofs_from(
    engine: Engine, queries: Path, *, k: int = 2, edits: Sequence[str] = (), eps: float = 0.1, unit: Unit = "rmse"
) -> Iterator[ProofObject]:
    """The proofs of all certified claims of the answers to some queries, with what is proved of families of edits."""
    files, families = sorted(map(str, queries.glob("*.png"))), read_families(edits) if edits else ()
    for outcome in query_files(engine, files, k=k, certify=True, eps=eps, unit=unit, against=families):
        yield from proofs_of_outcome(engine, outcome)


def resealed(statement: Mapping[str, Any]) -> dict[str, Any]:
    """With a digest that fits what it says, as a careful forger leaves it."""
    bare = json.loads(json.dumps(statement))
    bare["predicate"].pop("digest", None)
    return {**bare, "predicate": {**bare["predicate"], "digest": digest_json(bare)}}


def found_in(
    statement: Mapping[str, Any], folder: Path, index: Path, image: Path | None = None, *, seal: bool = True
) -> Finding:
    """What the checker says of a statement; its digest is made to fit, so that what is found is another reason."""
    file = folder / "proof.json"
    file.write_text(json.dumps(resealed(statement) if seal else statement), encoding="utf-8")
    return verify(file, index, image)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """(path, value) of everything in a JSON value that holds nothing else."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path, value
    for key, one in inner or ():
        yield from leaves(one, (*path, key))


def edited(statement: Mapping[str, Any], path: tuple[Any, ...], change: Callable[[Any], Any]) -> dict[str, Any]:
    """A copy with one value changed."""
    copy = json.loads(json.dumps(statement))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = change(place[path[-1]])
    return copy
