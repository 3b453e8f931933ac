"""Published metrics whose weights torch cannot read: known by name, run by a program that the user names.

PIM is published as TensorFlow checkpoints, and for GTI-CNN no file of weights was found. ``NAME:PROGRAM ARGS…`` runs a
program as ``command:`` does, under the metric's own title: black-box attacks only. docs/metrics.md has one for PIM.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.errors import UsageError
from .adapters import COMMAND_FACTS, program_measure
from .contract import Facts, Metric

NEEDS = "a program that runs it, named after the colon; docs/metrics.md says what the program is asked"

_PIM = replace(
    COMMAND_FACTS,
    licence="Apache-2.0 (google-research/perceptual-quality)",
    weights="fetched once by its authors' package, for TensorFlow",
)

FACTS: dict[str, Facts] = {
    "pim-1": replace(
        _PIM,
        name="pim-1",
        title="PIM-1",
        source="Bhardwaj, Fischer, Ballé & Chinen 2020 (arXiv 2006.06752), one component: mean squared difference",
        lowest=0.0,
        zero_at_identity=True,
    ),
    "pim-5": replace(
        _PIM,
        name="pim-5",
        title="PIM-5",
        source="Bhardwaj, Fischer, Ballé & Chinen 2020 (arXiv 2006.06752), five components: divergence by samples",
        zero_at_identity=True,
    ),
    "gti-cnn": replace(
        COMMAND_FACTS,
        name="gti-cnn",
        title="GTI-CNN",
        source="Ma, Duanmu & Wang 2018 (ICASSP): quality that small shifts, turns and scalings leave alone",
        weights="its authors'; no file of them for torch was found",
    ),
}
"""Per name, what is known of it; the range is the published metric's."""


def load_program(name: str, rest: str) -> Metric:
    """The metric ``NAME:PROGRAM ARGS…`` of FACTS.

    Raises:
        UsageError: where no program is named, or quotes do not close.
        ModelError: where the program is not found; on use, where it fails or answers wrongly.
    """
    if not rest.strip():
        raise UsageError(f"{name} does not run in torch; it needs {NEEDS}, for example {name}:'python {name}.py'")
    return Metric(FACTS[name], program_measure(rest, form=name), spec=f"{name}:{rest}")
