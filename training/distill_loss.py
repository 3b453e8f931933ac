"""What makes a student resemble its teacher: two losses on embeddings.

- RMSE, LipSim's step 1 (arXiv 2310.18274): L = rmse(s, t) + rmse(s′, t′), where s, t embed the clean views and s′, t′
  the jittered ones, and rmse(a, b) = √(mean of (a − b)² over the batch and all coordinates).
- relative: only the shape of the point cloud counts. With the distances D_s, D_t of all pairs of a batch (clean and
  jittered views together) and the scale a that fits best, a = ⟨D_s, D_t⟩/⟨D_s, D_s⟩:
  L = ‖a·D_s − D_t‖²/‖D_t‖² = 1 − ⟨D_s, D_t⟩²/(‖D_s‖²·‖D_t‖²), in [0, 1]. A 1-Lipschitz student cannot choose its scale;
  here it need not. After relational distillation (Park et al., arXiv 1904.05068), with the scale solved for.
"""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-12


def rmse(a: Tensor, b: Tensor) -> Tensor:
    """√(mean (a − b)²) over everything; (b, d), (b, d) → scalar. Its gradient is 0 where a = b."""
    return (a - b).square().mean().clamp_min(_TINY).sqrt()


def rmse_losses(student: Tensor, target: Tensor) -> dict[str, Tensor]:
    """LipSim's loss.

    Args:
        student: (2b, d), the clean views, then the jittered ones in the same order.
        target: (2b, d), the teacher's of the same images.

    Returns:
        ``loss``, and its parts ``clean`` and ``jittered``.
    """
    (clean, jittered), (t_clean, t_jittered) = student.chunk(2), target.chunk(2)
    parts = {"clean": rmse(clean, t_clean), "jittered": rmse(jittered, t_jittered)}
    return {"loss": parts["clean"] + parts["jittered"], **parts}


def relative_losses(student: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Relative distances with a free scale.

    Args:
        student: (m, d).
        target: (m, e), the teacher's of the same images; its dimension may differ.

    Returns:
        ``loss``, and the fitting ``scale`` a.
    """
    near, far = torch.pdist(student), torch.pdist(target)
    product, own, theirs = near @ far, near.square().sum(), far.square().sum()
    share = product.square() / (own * theirs).clamp_min(_TINY)
    return {"loss": 1.0 - share, "scale": (product / own.clamp_min(_TINY)).detach()}


LOSSES = {"rmse": rmse_losses, "relative": relative_losses}
"""By the name of ``--loss``."""
