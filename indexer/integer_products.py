"""Products of small integers, exact on every machine, a block of rows at a time.

Entries are of 8 bits and sums stay below 2²⁴, so both ways below are exact: integer arithmetic where torch has it, and
float32 otherwise, in which such integers, their products and all partial sums are exact in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]

WIDEST = 1024
"""Columns: 127²·1024 < 2²⁴."""
_FEW = 16
_BLOCK, _BLOCK_OF_FEW = 4096, 16384
_TRIED = 97


def integer_products(rows: Int8, queries: Int8) -> Iterator[tuple[int, Int32]]:
    """All inner products of rows with queries.

    Args:
        rows: (n, D), D ≤ 1024; memory-mapped or not.
        queries: (b, D).

    Yields:
        the number of the first row, and (rows, b) integers, which the next block overwrites.
    """
    import torch  # not above: who only looks at what an index holds should not wait for it

    assert rows.shape[1] == queries.shape[1] <= WIDEST, "sums would not be exact"
    b = len(queries)
    wide = _padded(b)
    columns = torch.zeros((rows.shape[1], wide), dtype=torch.int8)
    columns[:, :b] = torch.from_numpy(np.ascontiguousarray(queries.T))
    step = min(_BLOCK_OF_FEW if wide <= _FEW else _BLOCK, len(rows))
    out = torch.empty((step, wide), dtype=torch.int32)
    for start in range(0, len(rows), step or 1):
        first = min(start, len(rows) - step)  # the last block is as long as the others: a kernel less to prepare
        _product(torch.from_numpy(rows[first : first + step]), columns, out)
        yield start, out.numpy()[start - first :, :b]


def _padded(b: int) -> int:
    """Few shapes, so that few kernels are prepared and tried."""
    return b if b <= 2 else -(-b // _FEW) * _FEW


def _product(rows: Tensor, columns: Tensor, out: Tensor) -> None:
    import torch

    if _integers_are_exact(rows.shape[0], rows.shape[1], columns.shape[1]):
        torch._int_mm(rows, columns, out=out)  # pyright: ignore[reportPrivateImportUsage] - its only name
    else:
        out.copy_(rows.float() @ columns.float())


@cache
def _integers_are_exact(n: int, d: int, b: int) -> bool:
    """Whether torch's product of 8-bit integers is there and does not saturate: tried once for every shape.

    Kernels for processors without instructions for it add pairs in 16 bits, which the largest entries overflow.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(-127, 128, (min(n, _TRIED), d), generator=generator, dtype=torch.int8)
    columns = torch.randint(-127, 128, (d, b), generator=generator, dtype=torch.int8)
    rows[:2], rows[2:4], rows[4:6, ::2], columns[:, 0] = 127, -127, 127, 127
    places = torch.arange(n) % len(rows)
    try:
        found = torch._int_mm(rows[places], columns)  # pyright: ignore[reportPrivateImportUsage] - its only name
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(found.double(), (rows.double() @ columns.double())[places])
