"""Made words in many scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_RANGES: dict[str, tuple[str, int]] = {
    "latin": ("eeeaaaiootnnsrrlldhcmpgbfyvkw", 6),
    "accents": ("éèàçöüßñåøæőůžščeaaiountrsld", 6),
    "cyrillic": ("".join(map(chr, range(0x430, 0x450))) + "оеаинтср", 7),
    "greek": ("".join(map(chr, range(0x3B1, 0x3CA))), 6),
    "chinese": ("".join(map(chr, range(0x4E00, 0x5400, 3))), 18),
    "japanese": ("".join(map(chr, [*range(0x3041, 0x3094), *range(0x30A2, 0x30F0), *range(0x65E5, 0x6700, 9)])), 18),
    "korean": ("".join(map(chr, range(0xAC00, 0xC800, 17))), 4),
    "arabic": ("ابتثجحخدذرزسشصضطظعغفقكلمنهويةى", 5),
    "hebrew": ("".join(map(chr, range(0x5D0, 0x5EB))), 5),
    "devanagari": ("".join(map(chr, range(0x915, 0x93A))) + "ािीुूेैोौ", 5),
    "thai": ("".join(map(chr, range(0xE01, 0xE2F))), 14),
    "bengali": ("".join(map(chr, [*range(0x995, 0x9A9), *range(0x9AA, 0x9B1)])) + "ািীুে", 5),
    "georgian": ("".join(map(chr, range(0x10D0, 0x10F1))), 7),
}
SCRIPTS = tuple(_RANGES)
RIGHT_TO_LEFT = ("arabic", "hebrew")


def word(rng: np.random.Generator, script: str) -> str:
    """One word."""
    letters, length = _RANGES[script]
    count = max(1, int(rng.poisson(length)))
    return "".join(letters[i] for i in rng.integers(len(letters), size=count))


def words(rng: np.random.Generator, script: str, count: int) -> str:
    """Some words; the first begins with a capital where the script has them."""
    text = " ".join(word(rng, script) for _ in range(max(1, count)))
    return text[:1].upper() + text[1:]


def paragraph(rng: np.random.Generator, script: str, count: int) -> str:
    """Sentences of so many words in all."""
    made: list[str] = []
    while count > 0:
        length = int(rng.integers(4, 16))
        made.append(words(rng, script, length))
        count -= length
    return ". ".join(made) + "."


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of several."""
    return choices[int(rng.integers(len(choices)))]


def price(rng: np.random.Generator) -> str:
    """A sum of money."""
    return f"{rng.integers(0, 2000) * 10 ** int(rng.integers(0, 2)) / 100:.2f}"
