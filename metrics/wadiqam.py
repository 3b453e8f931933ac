"""WaDIQaM-FR: quality of 32 px patches, averaged by learned weights (Bosse, Maniry, Müller, Wiegand & Samek 2018).

The weights are a file in the layout of the public PyTorch implementation (``conv1`` … ``conv10``, ``fc1_q``, ``fc2_q``,
``fc1_w``, ``fc2_w``). Every whole 32 px patch counts (that implementation leaves out the last row and column of
patches), and dropout is off (there it stays on in tests).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .checkpoints import fill, require_file
from .contract import Facts, Metric, in_float32

PATCH = 32
WIDTHS = (32, 32, 64, 64, 128, 128, 256, 256, 512, 512)
ERROR_SUFFIX = "#error"
"""Ends a spec whose network predicts an error (as trained on LIVE), not a quality (as on TID2013 or KADID-10k)."""

FACTS = Facts(
    name="wadiqam-fr",
    title="WaDIQaM-FR",
    source=(
        "Bosse, Maniry, Müller, Wiegand & Samek 2018 (arXiv 1612.01697), weighted average over all whole 32 px "
        f"patches; minus the predicted quality, or with {ERROR_SUFFIX} the predicted error"
    ),
    lowest=float("-inf"),
    zero_at_identity=False,
    smallest_side=PATCH,
    licence="Apache-2.0 (retr); the file: its authors'",
    weights=f"a file: wadiqam-fr:FILE, or wadiqam-fr:FILE{ERROR_SUFFIX}",
)


class WaDIQaM(nn.Module):
    """Predicted score of image pairs: (b, 3, h, w) in [0, 1] twice → (b,)."""

    def __init__(self) -> None:
        super().__init__()
        for number, (before, width) in enumerate(zip((3, *WIDTHS[:-1]), WIDTHS, strict=True), 1):
            self.add_module(f"conv{number}", nn.Conv2d(before, width, 3, padding=1))
        self.fc1_q, self.fc2_q = nn.Linear(3 * WIDTHS[-1], WIDTHS[-1]), nn.Linear(WIDTHS[-1], 1)
        self.fc1_w, self.fc2_w = nn.Linear(3 * WIDTHS[-1], WIDTHS[-1]), nn.Linear(WIDTHS[-1], 1)

    def forward(self, ref: Tensor, img: Tensor) -> Tensor:
        """The patches' scores, averaged by their weights."""
        seen, given = self.features(ref), self.features(img)  # b p 512
        joint = torch.cat((given - seen, given, seen), dim=2)
        score = self.fc2_q(functional.relu(self.fc1_q(joint)))[:, :, 0]
        weight = functional.relu(self.fc2_w(functional.relu(self.fc1_w(joint))))[:, :, 0] + 1e-6
        return (score * weight).sum(1) / weight.sum(1)

    def features(self, x: Tensor) -> Tensor:
        """(b, 3, h, w) → (b, patches, 512)."""
        patches = functional.unfold(x, PATCH, stride=PATCH).mT  # b p 3·32·32
        h = patches.reshape(-1, 3, PATCH, PATCH)
        for number in range(1, len(WIDTHS) + 1):
            h = functional.relu(self.get_submodule(f"conv{number}")(h))
            h = h if number % 2 else functional.max_pool2d(h, 2)
        return h.reshape(len(x), -1, WIDTHS[-1])


def load_wadiqam(rest: str) -> Metric:
    """The metric ``wadiqam-fr:FILE`` or ``wadiqam-fr:FILE#error``.

    Raises:
        UsageError: where no file is named.
        ModelError: where it is absent, or holds other tensors.
    """
    path = require_file(rest.removesuffix(ERROR_SUFFIX), form="wadiqam-fr:FILE")
    predicts_error = rest.endswith(ERROR_SUFFIX)
    network = WaDIQaM()
    fill(network, path)
    sign, suffix = (1.0, ERROR_SUFFIX) if predicts_error else (-1.0, "")
    spec = f"wadiqam-fr:{path}{suffix}"
    return Metric(FACTS, in_float32(lambda ref, img: sign * network(ref, img)), spec=spec, module=network)
