"""The recipes by name: their options, their usual plan, and how each is built. A recipe is imported when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import UsageError
from .context import RunContext
from .options import field_names, read_options
from .plan import TrainPlan
from .recipe import Recipe


@dataclass(frozen=True, slots=True)
class RecipeEntry:
    """One recipe.

    Attributes:
        options: gives the frozen dataclass of its options.
        build: options, context → the recipe.
        plan: numbers of :class:`TrainPlan` that suit it; what is missing has the plan's own default.
    """

    options: Callable[[], type]
    build: Callable[[Any, RunContext], Recipe]
    plan: Mapping[str, Any]


def _copies_options() -> type:
    from .copies_recipe import CopiesOptions

    return CopiesOptions


def _copies(options: Any, context: RunContext) -> Recipe:
    from .copies_recipe import build_copies

    return build_copies(options, context)


def _distill_options() -> type:
    from .distill import DistillOptions

    return DistillOptions


def _distill(options: Any, context: RunContext) -> Recipe:
    from .distill import build_distill

    return build_distill(options, context)


def _two_afc_options() -> type:
    from .two_afc import TwoAFCOptions

    return TwoAFCOptions


def _two_afc(options: Any, context: RunContext) -> Recipe:
    from .two_afc import build_two_afc

    return build_two_afc(options, context)


RECIPES: dict[str, RecipeEntry] = {
    "copies": RecipeEntry(_copies_options, _copies, {"steps": 6_000, "batch": 192, "lr": 1.5e-3, "ema": 0.998}),
    "distill": RecipeEntry(_distill_options, _distill, {"steps": 20_000, "batch": 64, "lr": 1e-3}),
    "2afc": RecipeEntry(_two_afc_options, _two_afc, {"steps": 5_000, "batch": 32, "lr": 3e-4}),
}
"""By the name under which ``retr train`` offers them."""


def plan_and_options(name: str, settings: Mapping[str, Any]) -> tuple[TrainPlan, Any]:
    """Share settings between the plan of a run and the options of its recipe.

    Args:
        name: of the recipe.
        settings: by name; text is read by type, None means not given.

    Raises:
        UsageError: for an unknown recipe, setting or value.
    """
    entry = _entry(name)
    kind, given = entry.options(), {key: value for key, value in settings.items() if value is not None}
    unknown = [key for key in given if key not in (*field_names(TrainPlan), *field_names(kind))]
    if unknown:
        listed = f"of the plan {', '.join(field_names(TrainPlan))}; of {name} {', '.join(field_names(kind))}"
        raise UsageError(f"unknown setting {', '.join(unknown)}; there are {listed}")
    plan = {key: value for key, value in given.items() if key in field_names(TrainPlan)}
    options = {key: value for key, value in given.items() if key in field_names(kind)}
    return read_options(TrainPlan, {**entry.plan, **plan}), read_options(kind, options)


def build_recipe(name: str, options: Any, context: RunContext) -> Recipe:
    """The recipe, with its data opened.

    Raises:
        UsageError: for an unknown recipe, or what its builder refuses.
    """
    return _entry(name).build(options, context)


def _entry(name: str) -> RecipeEntry:
    if name not in RECIPES:
        raise UsageError(f"unknown recipe {name!r}; there are {', '.join(RECIPES) or 'none'}")
    return RECIPES[name]
