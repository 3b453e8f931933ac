"""A k-NN classifier as a target of attack: how far another label is past the vote's winner."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .gallery import LabelledGallery

_NEAR = 64
_FAR = 1e3
_FLOAT32_DOUBT = 1e-5


class VoteTarget:
    """Loss of a batch of queries; see :class:`..attacks.target.Target`.

    A label has c votes where its c-th best row is ahead of the (k − c + 1)-th best row of other labels; its lead is the
    distance of the embedding to the half-space where these two rows change places (T1). The attack has won where for
    some c another label has c votes and the winner has not, so the loss is the largest, over labels and c, of the
    smaller of the one's lead and minus the other's. For k = 1 that is how far a row of another label is past the best
    row of the winner. Computed over the rows near the image, all of which are looked up anew every time.

    Args of the constructor:
        gallery: the labelled rows.
        labels: per query of the batch, the number of the label that wins before the attack.
        k: voters.
    """

    def __init__(self, gallery: LabelledGallery, labels: Sequence[int], k: int) -> None:
        self._gallery, self._k = gallery, k
        self._won = torch.tensor(list(labels), dtype=torch.int64)
        self._rows = torch.from_numpy(gallery.rows)
        self._labels = torch.from_numpy(gallery.channel.groups)
        # So many that beside all rows of any one label there are rivals enough to take its places.
        self._count = min(len(self._rows), max(_NEAR, int(self._labels.bincount().max()) + 2 * k))

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`..attacks.target.Target`."""
        z = self._gallery.channel.embed(x).double().cpu()
        doubt = _FLOAT32_DOUBT * z.detach().norm(dim=1) if x.dtype != torch.float64 else 0.0
        leads, labels, votes = self._leads(z)
        return (self._past(leads, labels, votes, self._won[samples.cpu()]) - doubt).to(x)

    def _leads(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of the rows near each image, best first: (b, r) lead, label, and how many rows of that label are as good."""
        near, rows = self._near(z)
        scores = self._scores(z, rows)  # b r
        labels = self._labels[near]
        same = labels[:, :, None] == labels[:, None, :]  # b r r
        order = torch.arange(labels.shape[1])
        votes = (same & (order[None, :] <= order[:, None])).sum(2)  # the row is its label's votes-th best
        others = (~same).cumsum(2)
        wanted = (self._k - votes + 1).clamp(min=1)[:, :, None]
        reached = others >= wanted
        rival = reached.to(torch.uint8).argmax(2)  # the (k − votes + 1)-th best row of other labels
        picked = rows.gather(1, rival[:, :, None].expand(-1, -1, rows.shape[2]))
        width = (rows - picked).norm(dim=2).clamp(min=1e-12)
        lead = (scores - scores.gather(1, rival)) / width
        return torch.where(reached[:, :, -1], lead, _FAR), labels, votes

    def _past(self, leads: Tensor, labels: Tensor, votes: Tensor, won: Tensor) -> Tensor:
        """(b,): see the class."""
        mine = labels == won[:, None]
        counted = votes <= self._k
        fallen = leads.new_full((len(leads), self._k + 1), _FAR)  # by votes; far where no such row is near at all
        sample, place = torch.nonzero(mine & counted, as_tuple=True)
        fallen = fallen.index_put((sample, votes[sample, place]), -leads[sample, place])
        both = torch.minimum(leads, fallen.gather(1, votes.clamp(max=self._k)))
        return both.masked_fill(mine | ~counted, -_FAR).amax(dim=1)

    def _near(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(b, r) numbers and (b, r, d) numbers' rows, best first."""
        with torch.no_grad():
            scores = z @ self._rows.T
            if self._gallery.channel.score == "euclidean":
                scores = scores - 0.5 * self._rows.square().sum(1)
            near = scores.topk(self._count, dim=1).indices
        return near, self._rows[near]

    def _scores(self, z: Tensor, rows: Tensor) -> Tensor:
        products = torch.einsum("bd,brd->br", z, rows)
        return products if self._gallery.channel.score == "cosine" else products - 0.5 * rows.square().sum(2)
