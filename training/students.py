"""The networks that a recipe can train, by name: an architecture, and numbers that replace some of its own.

``retr_s``, ``retr_m``, ``lipsim_small``; or with numbers: ``retr_s:layer=sll,widths=32+128,dim=128``. Lists are
written with ``+``. Only families whose layers fold into proved ones stand here, so every student gets a certificate.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.errors import ModelError, UsageError
from ..core.types import Score
from ..embedding.network import Blueprint, NetworkEmbedder
from ..embedding.retr_network import RETR_M, RETR_S, RetrArchitecture, RetrNetwork, retr_blueprint
from ..embedding.sll_network import LIPSIM_SMALL, SLLArchitecture, SLLNetwork, sll_blueprint

Architecture = RetrArchitecture | SLLArchitecture
# A student needs the bias of its head: the embeddings of a teacher seldom have plain images at their origin.
NAMED: dict[str, Architecture] = {
    "retr_s": replace(RETR_S, centring="none"),
    "retr_m": replace(RETR_M, centring="none"),
    "lipsim_small": LIPSIM_SMALL,
}
"""What a student's name stands for."""


@dataclass(frozen=True, slots=True)
class Student:
    """A network to train.

    Attributes:
        spec: what names it.
        architecture: its numbers.
    """

    spec: str
    architecture: Architecture

    @property
    def side(self) -> int:
        """Side of the square input, in pixels."""
        return self.architecture.image

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return self.architecture.dim

    def network(self, seed: int) -> nn.Module:
        """The trainable network with its initial weights."""
        generator = torch.Generator().manual_seed(seed)
        if isinstance(self.architecture, RetrArchitecture):
            return RetrNetwork(self.architecture, generator=generator)
        return SLLNetwork(self.architecture, q_form="right", generator=generator)

    def blueprint(self, score: Score) -> Blueprint:
        """What rebuilds the shipped network."""
        if isinstance(self.architecture, RetrArchitecture):
            return retr_blueprint(self.architecture, score)
        return sll_blueprint(self.architecture, score)

    def shipped(self, network: nn.Module, score: Score, path: Path | None = None) -> NetworkEmbedder:
        """The folded network as an embedder on the CPU, its bound proved from its own numbers; a copy is folded.

        Raises:
            ModelError: where nothing can be proved; such a network is no student.
        """
        assert isinstance(network, RetrNetwork | SLLNetwork)
        folded = copy.deepcopy(network).cpu().fold()
        spec = str(path) if path is not None else self.spec
        embedder = NetworkEmbedder(folded, self.blueprint(score), name=self.spec, spec=spec)
        if embedder.lipschitz is None:
            raise ModelError(f"student {self.spec} has no proved bound: {embedder.uncertified_because}")
        return embedder

    def as_json(self) -> dict[str, Any]:
        """Family and architecture; the reverse is :func:`student_from_json`."""
        return {
            "spec": self.spec,
            "family": self.blueprint("cosine").family,
            "architecture": self.architecture.as_json(),
        }


def named(recipe: str, embedder: NetworkEmbedder) -> str:
    """What a trained model is called: by its recipe and its numbers, for one architecture has many."""
    return f"{recipe}-{embedder.digest[:8]}"


def parse_student(text: str) -> Student:
    """A student by name, with or without numbers.

    Raises:
        UsageError: for an unknown name or number, or numbers that do not fit together.
    """
    name, _, changes = text.partition(":")
    if name not in NAMED:
        raise UsageError(f"unknown student {name!r}; choose {', '.join(NAMED)}, with numbers as in retr_s:dim=128")
    base = NAMED[name]
    value = base.as_json()
    for change in filter(None, changes.split(",")):
        key, equals, given = change.partition("=")
        if key not in value or not equals:
            raise UsageError(f"{change!r} changes nothing of {name}; write KEY=VALUE with one of {', '.join(value)}")
        value[key] = _read(value[key], given, change)
    try:
        return Student(text, type(base).from_json(value))
    except ModelError as error:
        raise UsageError(f"{text!r}: {error}") from None


def student_from_json(value: Mapping[str, Any]) -> Student:
    """The student that a training record describes.

    Raises:
        ModelError: where it describes none.
    """
    families: dict[str, type[Architecture]] = {"retr": RetrArchitecture, "sll": SLLArchitecture}
    try:
        return Student(str(value["spec"]), families[value["family"]].from_json(dict(value["architecture"])))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the record describes no student that is known here ({error})") from None


def _read(old: Any, text: str, change: str) -> Any:
    try:
        if isinstance(old, list):
            return [int(part) for part in text.split("+")]
        return int(text) if isinstance(old, int) else text
    except ValueError:
        raise UsageError(f"{change!r}: {text!r} is no whole number, nor whole numbers joined by +") from None
