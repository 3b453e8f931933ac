"""Images in folders, where the folder's name is the label: for k-NN classification and for retrieval by label.

``<root>/<label>/…/image.jpg``, as ImageNet and most collections are laid out. The label is the first ``level`` folders
below the root; images may lie deeper. Files that are no images by their names are skipped and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.files import digest_json
from ..images.names import is_image_name
from .files import walk_files, whole_file
from .rows import Entry, RejectedRow, RowError, RowSet, counted, read_rows

LAYOUT = "folders"


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image and what it shows.

    Attributes:
        name: path below the root, unique.
        file: image file.
        label: name of its folder.
    """

    name: str
    file: Path
    label: str

    def facts(self, folder: Path) -> list[Any]:
        """What a digest is taken over."""
        del folder
        return [self.name, self.label]


class LabelledSet(RowSet[LabelledImage]):
    """Labelled images in the order of their paths, with accounts."""

    def labels(self) -> dict[str, int]:
        """Label → how many images, in alphabetical order."""
        return dict(sorted(Counter(row.label for row in self.rows).items()))

    def only(self, labels: Iterable[str]) -> LabelledSet:
        """The images of these labels; the others are skipped."""
        wanted = frozenset(labels)
        return self.keep(lambda row: row.label in wanted, "other-label")


def load_labelled(folder: Path, *, level: int = 1) -> LabelledSet:
    """Read a folder of folders. Files are looked for and not opened.

    Args:
        folder: its root.
        level: how many folders below the root make up a label, joined by ``/``.

    Raises:
        UsageError: for a level below 1, or a folder without a labelled image.
    """
    if level < 1:
        raise UsageError(f"a label is at least one folder deep, got level {level}")
    folder = folder.resolve()
    files = list(walk_files(folder))
    images = [path for path in files if is_image_name(path)]
    kept, _, rejects = read_rows(_entries(folder, images, level))
    if not kept:
        raise UsageError(f"{folder} has no image in a folder {level} deep whose name would be its label")
    empty = _empty_labels(folder, images)
    skipped = counted({"not-an-image": len(files) - len(images)})
    return LabelledSet(LAYOUT, folder, "all", kept, skipped, (*rejects, *empty))


def split_labelled(data: LabelledSet, *, queries: int, seed: int) -> tuple[LabelledSet, LabelledSet]:
    """Part the images of every label into a gallery and queries; who is a query depends on seed and names alone.

    Args:
        data: as loaded.
        queries: images of each label to ask with; the others are the gallery.
        seed: of the choice.

    Returns:
        (gallery, queries).

    Raises:
        UsageError: naming the labels that have no image left for the gallery.
    """
    if queries < 1:
        raise UsageError(f"a label needs at least one query, got {queries}")
    few = [label for label, count in data.labels().items() if count <= queries]
    if few:
        named = ", ".join(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
        raise UsageError(f"these labels have no more than {queries} images: {named}; ask fewer, or leave them out")
    asking = _lots(data, queries, seed)
    gallery = data.keep(lambda row: row.name not in asking, "query")
    return replace(gallery, split="gallery"), replace(
        data.keep(lambda row: row.name in asking, "gallery"), split="queries"
    )


def same_labels(gallery: LabelledSet, queries: LabelledSet) -> None:
    """Check that every query can be answered.

    Raises:
        UsageError: naming the labels of queries that the gallery lacks.
    """
    known = gallery.labels()
    unknown = [label for label in queries.labels() if label not in known]
    if unknown:
        raise UsageError(f"{gallery.folder} has no image of {', '.join(unknown[:5])}, which {queries.folder} asks for")


def _lots(data: LabelledSet, count: int, seed: int) -> frozenset[str]:
    """Names of the ``count`` images of each label with the lowest lots."""
    drawn = sorted(data.rows, key=lambda row: digest_json(["query", seed, row.name]))
    taken: Counter[str] = Counter()
    chosen = set()
    for row in drawn:
        if taken[row.label] < count:
            taken[row.label] += 1
            chosen.add(row.name)
    return frozenset(chosen)


def _entries(folder: Path, images: list[Path], level: int) -> Iterator[Entry[LabelledImage]]:
    for path in images:
        name = path.relative_to(folder).as_posix()
        yield name, name, partial(_read, folder, path, name, level)


def _read(folder: Path, path: Path, name: str, level: int) -> LabelledImage:
    above = name.split("/")[:-1]
    if len(above) < level:
        raise RowError("no-label", f"lies {len(above)} folders deep, and a label is {level}")
    return LabelledImage(name, whole_file(folder, path), "/".join(above[:level]))


def _empty_labels(folder: Path, images: list[Path]) -> list[RejectedRow]:
    """Folders right below the root that no image was found in."""
    full = {path.relative_to(folder).parts[0] for path in images}
    below = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return [_empty(path) for path in below if path.name not in full]


def _empty(path: Path) -> RejectedRow:
    if path.is_symlink():
        return RejectedRow(path.name, "linked-label", "links to folders are not followed", path.name)
    return RejectedRow(path.name, "empty-label", "no image lies in this folder", path.name)
