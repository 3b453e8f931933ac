"""What one attack of an audit did, from its smallest budget to its largest: a row of the tables by attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluation.robustness.summary_lines import AttackLine
from .audit_names import attack_name


@dataclass(frozen=True)
class Runs:
    """One attack on one system, from its smallest budget to its largest; what is not by budget is that of the last."""

    name: str
    lines: tuple[AttackLine, ...]

    @property
    def last(self) -> AttackLine:
        """At the largest budget."""
        return self.lines[-1]

    @property
    def system(self) -> str:
        """Its name."""
        return self.last.system

    @property
    def alarms(self) -> int:
        """At all budgets."""
        return sum(line.alarms for line in self.lines)

    def reached(self, level: tuple[float, str]) -> float | str:
        """Share of queries on which the goal was reached at a budget; nothing where it was not tried."""
        at = {(line.budget, line.unit): line.success_float for line in self.lines}
        return at.get(level, "")

    def norm(self, name: str, scale: int = 1) -> float | None:
        """A median over the changes that reached the goal; None where none did."""
        found = self.last.norms and getattr(self.last.norms, name)
        return found and scale * found


def runs_of(lines: Sequence[AttackLine]) -> list[Runs]:
    """Lines of one goal by system and attack, in order of first appearance."""
    found: dict[tuple[str, str], list[AttackLine]] = {}
    order = {system: place for place, system in enumerate(dict.fromkeys(line.system for line in lines))}
    for line in sorted(lines, key=lambda line: order[line.system]):
        name = f"{attack_name(line)} (smallest change)" if line.minimal else attack_name(line)
        found.setdefault((line.system, name), []).append(line)
    return [Runs(name, tuple(own)) for (_, name), own in found.items()]
