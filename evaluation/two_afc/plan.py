"""What a 2AFC benchmark does: data sets, metrics, attack settings, and who moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from ...attacks.media import Medium
from ...core.errors import UsageError
from ..shared.plans import Keep, check_counts, check_keep, check_sizes, check_words, plain, said, with_preset
from .data import Choice
from .settings import MOVES, TRANSFERS, Levels, Moves, Setting, settings_of

NO_SOURCE = "none"
CERTIFIED_LEVELS = (36 / 255, 72 / 255, 108 / 255)
"""LipSim's budgets, ℓ2."""

_TMLR = ("fgsm", "pgd", "pgd-a00375", "pgd-a006", "one-pixel", "stadv-50", "stadv-200", "stadv-1000", "reverse-pgd")
_LIPSIM = ("apgd-l2", "apgd-linf", "mi-fgsm-l2", "mi-fgsm-linf", "pgd-l2", "pgd-linf", "square-l2", "square-linf")
_MINIMAL = ("cw-l2", "fmn-l2")

PRESETS: dict[str, dict[str, Any]] = {
    # Nothing is attacked: how well each metric agrees with people, and its certified score.
    "clean": {"attacks": ()},
    # One of each kind, short: minutes for 100 triplets of 64 px on 2 cores.
    "quick": {
        "attacks": (
            "fgsm",
            "pgd",
            "one-pixel",
            "stadv-50",
            "reverse-pgd",
            "apgd-l2",
            "apgd-radius",
            "square-l2",
            "embedding",
        ),
        "levels": Levels(l2=(108 / 255, 1.0), linf=(0.015,), steps=20, queries=200, radii=100, bends=30),
        "transfers": ("transfer-pgd-10", "transfer-stadv", "transfer-stadv-pgd-10"),
    },
    # The tables of Ghildyal and Liu: hours.
    "paper": {
        "attacks": _TMLR,
        "levels": Levels(queries=20_000),
        "transfers": TRANSFERS,
        "transfer_from": "lpips-alex",
    },
    # The tables of Ghazanfari et al.: hours.
    "lipsim": {"attacks": (*_LIPSIM, *_MINIMAL, "apgd-radius", "embedding"), "levels": Levels(queries=5000)},
}
"""What each says of the plan; what the user says comes first."""


@dataclass(frozen=True)
class TwoAFCPlan:
    """A whole benchmark.

    Attributes:
        data: data sets, as ``two_afc_data.open_data`` takes them.
        metrics: specs of metrics.
        choice: which triplets.
        attacks: words of ``two_afc_settings.FAMILIES``.
        levels: numbers that the settings may depend on.
        moves: what the attacks change; what each setting's paper changes where empty.
        transfer_from: metric that transferred attacks are made on; None for none.
        medium: which of the saved images the records speak of; both are judged.
        keep: which saved images to keep.
        certified: ℓ2 radii at which certified scores are stated.
        out: folder for records and images.
        resume: go on with the unfinished run of ``out``, if there is one.
        batch_size: how many triplets to attack at a time.
        device: auto, cpu or cuda.
        command: the command line, for the record.
    """

    data: tuple[str, ...]
    metrics: tuple[str, ...]
    choice: Choice = field(default_factory=Choice)
    attacks: tuple[str, ...] = ()
    levels: Levels = field(default_factory=Levels)
    moves: tuple[Moves, ...] = ()
    transfer_from: str | None = None
    medium: Medium = "float"
    keep: Keep = "alarms"
    certified: tuple[float, ...] = CERTIFIED_LEVELS
    out: Path = Path("retr-2afc")
    resume: bool = False
    batch_size: int = 16
    device: str = "auto"
    command: str = ""

    def __post_init__(self) -> None:
        _check_words(self)
        _check_numbers(self)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Attacks on each metric itself."""
        return tuple(one for one in settings_of(self.attacks, self.levels) if not one.transfer)

    @property
    def transfers(self) -> tuple[Setting, ...]:
        """Attacks on the source, judged by all."""
        found = settings_of(self.attacks, self.levels) if self.transfer_from else ()
        return tuple(one for one in found if one.transfer)

    def as_json(self) -> dict[str, Any]:
        """All that records depend on, in plain values: what a resumed run must agree in."""
        return plain(self, "out", "resume", "command", "device")


def plan_of(preset: str, given: Mapping[str, Any], levels: Mapping[str, Any]) -> TwoAFCPlan:
    """The plan of a preset and what was given beside it.

    Args:
        preset: a key of PRESETS.
        given: fields of the plan; None, or nothing, for those that were not given. With a source, the preset's
            transfers are added to its attacks, not to given ones.
        levels: fields of ``Levels``; None for those that were not given.

    Raises:
        UsageError: for an unknown preset, for a source with nothing to transfer, or as the plan's own checks.
    """
    asked = said(given)
    fields = {"attacks": (), "levels": Levels(), "transfers": (), "transfer_from": None}
    fields |= with_preset(PRESETS, preset, given)
    transfers, usual = fields.pop("transfers"), fields.pop("levels")
    if fields["transfer_from"] == NO_SOURCE:
        fields["transfer_from"] = None
    if fields["transfer_from"] and "attacks" not in asked:
        fields["attacks"] = (*fields["attacks"], *transfers)
    if asked.get("transfer_from", NO_SOURCE) != NO_SOURCE and not {"all", *TRANSFERS} & set(fields["attacks"]):
        raise UsageError(f"nothing is transferred: name one of {', '.join(TRANSFERS)} among the attacks")
    return TwoAFCPlan(**fields, levels=Levels(**{**asdict(usual), **said(levels)}))


def parse_radii(option: str, text: str | None) -> tuple[float, ...]:
    """Numbers and fractions separated by commas, such as ``36/255,0.5``; none where there is no text.

    Raises:
        UsageError: naming the option and the word that is neither.
    """
    found = []
    for word in (part.strip() for part in (text or "").split(",")):
        top, slash, bottom = word.partition("/")
        try:
            if word:
                found.append(float(top) / float(bottom) if slash else float(top))
        except (ValueError, ZeroDivisionError):
            raise UsageError(f"{option} takes numbers or fractions separated by commas, got {word!r}") from None
    return tuple(found)


def _check_words(plan: TwoAFCPlan) -> None:
    check_words("data", plan.data, some=True)
    check_words("metrics", plan.metrics, some=True)
    check_words("moves", plan.moves, MOVES)
    check_words("medium", (plan.medium,), get_args(Medium))
    check_keep(plan.keep)
    transfers = [word for word in plan.attacks if word in TRANSFERS]
    if transfers and not plan.transfer_from:
        raise UsageError(f"{', '.join(transfers)}: made on which metric? Name it: transfer_from")
    settings_of(plan.attacks, plan.levels)


def _check_numbers(plan: TwoAFCPlan) -> None:
    levels = plan.levels
    for name, radii in (("l2", levels.l2), ("linf", levels.linf), ("certified", plan.certified)):
        check_sizes(name, radii)
    check_counts(steps=levels.steps, restarts=levels.restarts, queries=levels.queries, radii=levels.radii)
    check_counts(bends=levels.bends, batch_size=plan.batch_size)
    check_counts(0, seed=plan.choice.seed)


def tasks_of(settings: tuple[Setting, ...], plan: TwoAFCPlan) -> Iterator[tuple[Setting, Moves]]:
    """Settings with what they move."""
    for setting in settings:
        for moves in setting.moved(plan.moves):
            yield setting, moves
