"""retr: image retrieval and copy detection that proves how far an image must change to change the answer.

    import retr

    index = retr.build("corpus", "my-index")
    answer = index.query("img.png", certify=True)

Every name below is loaded when it is first used, so that ``import retr`` is quick. See docs/api.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.answer import Answer, Match
    from .api.attack import attack
    from .api.audit import audit
    from .api.check import Check, check
    from .api.index import Index, build, open  # noqa: A004 - as in gzip: retr.open
    from .api.metric import Metric, load_metric
    from .api.model import Model, load_model
    from .api.train import train
    from .core.errors import RetrError

__version__ = "0.1.0"

__all__ = [
    "build",
    "open",
    "load_model",
    "load_metric",
    "attack",
    "audit",
    "check",
    "train",
    "Index",
    "Answer",
    "Match",
    "Check",
    "Model",
    "Metric",
    "RetrError",
]

_HOMES = {
    "build": "api.index",
    "open": "api.index",
    "load_model": "api.model",
    "load_metric": "api.metric",
    "attack": "api.attack",
    "audit": "api.audit",
    "check": "api.check",
    "Check": "api.check",
    "train": "api.train",
    "Index": "api.index",
    "Answer": "api.answer",
    "Match": "api.answer",
    "Model": "api.model",
    "Metric": "api.metric",
    "RetrError": "core.errors",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
