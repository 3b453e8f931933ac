"""Folders whose files belong together by stem, ``<kind>/<part>/NNNNNN.*``: both parts of BAPPS are laid out so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from ..core.errors import UsageError
from ..images.names import is_image_name
from .files import whole_file
from .rows import Entry, RejectedRow, RowError, RowT, counted, read_rows

JUDGEMENTS = frozenset({"judge", "same"})
"""Parts with one ``.npy`` file per stem; all others have one image."""

Read = Callable[[str, str, Mapping[str, Path]], RowT]
"""(``<kind>/<stem>``, kind, part → file) → row."""


def kinds_below(split: Path, parts: Sequence[str]) -> dict[str, Path]:
    """Name → folder of the kinds of a split: its folders that have every part."""
    if not split.is_dir():
        return {}
    return {path.name: path for path in sorted(split.iterdir()) if all((path / part).is_dir() for part in parts)}


def read_kinds(
    folder: Path, split: Path, parts: Sequence[str], wanted: Sequence[str], read: Read[RowT]
) -> tuple[tuple[RowT, ...], dict[str, int], tuple[RejectedRow, ...]]:
    """Read every stem of the wanted kinds; the stems of other kinds are skipped.

    Args:
        folder: root of the data set; files are named relative to it.
        split: the folder of the kinds.
        parts: which files a row is made of.
        wanted: names of kinds; all of them where empty.
        read: makes the row; may raise RowError.

    Returns:
        (kept, skipped, rejected).

    Raises:
        UsageError: for a wanted kind that is not there.
    """
    found = kinds_below(split, parts)
    unknown = [kind for kind in wanted if kind not in found]
    if unknown:
        raise UsageError(f"{folder} has no kind {', '.join(unknown)}; there are: {', '.join(found)}")
    others = [path for kind, path in found.items() if wanted and kind not in wanted]
    kinds = {kind: path for kind, path in found.items() if not wanted or kind in wanted}
    kept, skipped, rejects = read_rows(_entries(folder, kinds, parts, read))
    skipped = counted(skipped, {"other-kind": sum(len(_by_stem(path, parts)) for path in others)})
    return kept, skipped, (*_incomplete(folder, split, parts), *rejects)


def _incomplete(folder: Path, split: Path, parts: Sequence[str]) -> list[RejectedRow]:
    """Kinds that lack the folder of a part; the files of their other parts are of no use."""
    rejects = []
    for kind in sorted(split.iterdir()):
        missing = [part for part in parts if not (kind / part).is_dir()]
        if kind.is_dir() and 0 < len(missing) < len(parts):
            place = (kind / missing[0]).relative_to(folder).as_posix()
            rejects.append(RejectedRow(kind.name, "missing-folder", f"this kind has no {', '.join(missing)}", place))
    return rejects


def _entries(folder: Path, kinds: Mapping[str, Path], parts: Sequence[str], read: Read[RowT]) -> Iterator[Entry[RowT]]:
    for kind, place in kinds.items():
        for stem, files in sorted(_by_stem(place, parts).items()):
            name = f"{kind}/{stem}"
            yield name, "", partial(_read, folder, place, stem, files, parts, partial(read, name, kind))


def _by_stem(kind: Path, parts: Sequence[str]) -> dict[str, dict[str, list[Path]]]:
    """Stem → part → files of that stem, over all parts: a file without its partners is seen too."""
    table: dict[str, dict[str, list[Path]]] = {}
    for part in parts:
        for path in sorted((kind / part).iterdir()):
            if _belongs(path, part):
                table.setdefault(path.stem, {}).setdefault(part, []).append(path)
    return table


def _belongs(path: Path, part: str) -> bool:
    if part in JUDGEMENTS:
        return path.suffix.lower() == ".npy" and not path.name.startswith(".")
    return is_image_name(path)


def _read(
    folder: Path,
    kind: Path,
    stem: str,
    files: Mapping[str, list[Path]],
    parts: Sequence[str],
    make: Callable[[Mapping[str, Path]], RowT],
) -> RowT:
    odd = next((part for part in parts if len(files.get(part, ())) != 1), None)
    if odd is not None:
        raise _odd(folder, kind / odd / f"{stem}{'.npy' if odd in JUDGEMENTS else '.png'}", files.get(odd, []))
    images = {part: whole_file(folder, files[part][0]) for part in parts if part not in JUDGEMENTS}
    return make({**images, **{part: files[part][0] for part in parts if part in JUDGEMENTS}})


def _odd(folder: Path, usual: Path, given: Sequence[Path]) -> RowError:
    """No file of a stem where one should be, or several."""
    name = usual.relative_to(folder).as_posix()
    if not given:
        return RowError("missing-file", f"no file of this stem in {usual.parent.name}", file=name)
    return RowError("ambiguous", f"more than one file: {', '.join(path.name for path in given)}", file=name)
