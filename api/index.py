"""An index: build it, open it, ask it, keep it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final, overload

import pyarrow.compute as pc

from ..certificates.statement import ProofObject
from ..cluster.naming import Cluster
from ..cluster.spreading import Spreading, spreading_of
from ..core.errors import ImageRejected, UsageError
from ..core.units import Radius, Unit, check_unit
from ..images.families.asked import AskedFamily, read_families
from ..images.isolated import Decoder, decoder
from ..images.policy import DecodePolicy
from ..indexer.addresses import absolute_text, asked_name
from ..indexer.build import build_index
from ..indexer.held import read_held
from ..indexer.history import Compacted, compact_index
from ..indexer.info import describe_index, list_rejects
from ..indexer.labels import parse_label
from ..indexer.options import IndexOptions, IndexReport
from ..indexer.rules import check_rules
from ..indexer.snapshot import current_id
from ..indexer.sources import read_corpus
from ..indexer.sync import SyncPlan, plan_sync
from ..indexer.verify import Verified, clear_index, repair_index, verify_index
from ..indexer.where import parse_condition
from ..indexer.writer import Writer
from ..retrieval import answer as room
from ..retrieval.answer import Match
from ..retrieval.calibrate import Calibration, check_thresholds
from ..retrieval.calibrate import calibrate as set_thresholds
from ..retrieval.engine import Engine
from ..retrieval.known_pairs import read_known_pairs
from ..retrieval.proofs import proofs_of
from ..retrieval.query import asked_words
from ..retrieval.ranges.prove import prove_ranges
from .answer import Answer, answer_of
from .images import ImageLike, Picture, exact_bytes, is_many, read_image, read_images
from .progress import Progress, watched
from .proof import subject_of
from .sources import PathLike, Source, as_corpus
from .words import speaks_of_parameters

QUERIES_AT_ONCE = 16
VALUES_AT_ONCE = 48_000_000
"""Values of query images searched for together, at most."""
Removable = str | os.PathLike[str] | Match
"""What names an item: its path, or a match."""


@speaks_of_parameters
def build(
    corpus: Source,
    path: PathLike,
    *,
    models: Sequence[str | os.PathLike[str]] | None = None,
    companion: str | None = None,
    looks: bool | None = None,
    views: str | None = None,
    rows: str | None = None,
    max_pixels: int | None = None,
    pretrained: bool = True,
    workers: int | None = None,
    batch_size: int = 64,
    resume: bool = False,
    restart: bool = False,
    device: str = "auto",
    isolate: bool = False,
    progress: Progress | bool = False,
) -> Index:
    """Index a corpus of images, and open the index. Files that an index holds unchanged are not embedded again.

    >>> import retr
    >>> index = retr.build("corpus", "my-index")
    >>> index.report.seen, index.report.rejected
    (12, 0)

    Args:
        corpus: a folder (recursive), an archive, a URL, a file that lists these, or a list of them.
        path: the index folder; made if absent.
        models: one embedder for each channel; None for the usual two (``block-means``, ``retr_s``), or what is there.
        companion: an uncertified embedder (``torchscript:FILE@HxW``, ``timm:NAME``, ``open_clip:NAME/TAG``,
            ``onnx:FILE``, ``efficientnet-lite0``) that finds copies beside them. What it alone finds is not proved.
        looks: whether it looks at parts and turns of a query, too; None: if it is ``efficientnet-lite0``.
        views: stored views of each image: ``none``, ``flip``, ``light`` or ``standard``.
        rows: how rows are stored: ``float32``, ``float16`` or ``int8``; None as the views ask.
        max_pixels: refuse larger images; None for the decode policy's limit.
        pretrained: published weights for ``timm:`` models.
        workers: decoding threads; None for one a core.
        batch_size: images embedded at once.
        resume: go on with an interrupted run.
        restart: drop what an interrupted run had done.
        device: auto, cpu or cuda.
        isolate: decode in processes that can be killed: for files from strangers.
        progress: True for a bar, or an object that is told.

    Returns:
        The index; its ``report`` counts what was seen, indexed, skipped and rejected, ``rejects()`` names the files.

    Raises:
        UsageError: a corpus that is not there, or options that differ from what the index holds.
        IndexStateError: an unfinished run and neither ``resume`` nor ``restart``, or another writer.
    """
    options = IndexOptions(
        models=None if models is None else tuple(os.fspath(model) for model in models),
        companion=companion,
        looks=looks,
        views=views,
        rows=rows,
        policy=None if max_pixels is None else replace(DecodePolicy(), max_pixels=max_pixels),
        pretrained=pretrained,
        workers=workers or os.cpu_count() or 2,
        batch_size=batch_size,
        resume=resume,
        restart=restart,
        device=device,
        isolate=isolate,
    )
    report = _index(corpus, Path(path), options, progress)
    return Index(Path(path), device=device, report=report)


@speaks_of_parameters
def open(  # noqa: A001 - as in gzip
    path: PathLike,
    *,
    device: str = "auto",
    threshold: float | None = None,
    snapshot: str | None = None,
    where: str | Sequence[str] = (),
    unsilenced: bool = False,
    certified_only: bool = False,
    cluster: str | None = None,
    shards: int | None = None,
    deadline: float | None = None,
    allow_partial: bool = False,
    token_file: PathLike | None = None,
) -> Index:
    """Open an index.

    >>> import retr
    >>> retr.open("my-index").query("img.png", k=1).verdict
    'copy'

    Args:
        path: the index folder.
        device: where the float32 search runs: auto, cpu or cuda. What is certified is float64 on the CPU.
        threshold: replaces the stored threshold of an index of one channel.
        snapshot: id of an earlier snapshot, or how it begins; None for the current one.
        where: conditions such as ``bank=a,b``, ``bank!=a`` or ``path~*/2024/*``: the gallery is what fulfils them all,
            and nothing else; ranks, radii and certificates are those of that gallery.
        unsilenced: ask as if no bank were negative (:meth:`Index.set_rules`).
        certified_only: leave its companion out, where it has one: only what can be proved is found.
        cluster: a cluster of Ray that holds the rows and answers queries, with the very same answers: ``local`` (this
            machine, until the index is closed: :meth:`Index.close`), ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        shards: with ``cluster``: in how many parts the rows are held; None for one for each CPU, or those there are.
        deadline: with ``cluster``: seconds in which a shard must answer; None for 60.
        allow_partial: with ``cluster``: answer without shards that are silent, and without a certificate.
        token_file: with ``cluster``: holds the secret by which it knows its users.

    Raises:
        IndexStateError: there is no index.
        IntegrityError: damaged files, or a model that is not the one it was built with.
        UsageError: an unknown device, a threshold that cannot be, no such snapshot, no condition, or no Ray.
        ClusterError: there is no such cluster, or a part of it does not answer.
    """
    conditions = (where,) if isinstance(where, str) else tuple(where)
    asked = Cluster(cluster, shards, deadline, allow_partial, None if token_file is None else Path(token_file))
    return Index(
        Path(path),
        device=device,
        threshold=threshold,
        snapshot=snapshot,
        where=conditions,
        unsilenced=unsilenced,
        certified_only=certified_only,
        spreading=spreading_of(asked),
    )


@final
class Index:
    """An open index: a gallery of images that can be asked. It answers from the snapshot it has opened.

    One that a cluster answers for is closed when it is not needed any more; a ``with`` statement does so.

    Attributes:
        path: the index folder.
        report: what the run that made this object did; None where the index was only opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        threshold: float | None = None,
        snapshot: str | None = None,
        where: Sequence[str] = (),
        unsilenced: bool = False,
        certified_only: bool = False,
        report: IndexReport | None = None,
        engine: Engine | None = None,
        spreading: Spreading | None = None,
        owns: bool = True,
    ) -> None:
        self.path, self.report = path, report
        self._device, self._threshold, self._where, self._unsilenced = device, threshold, tuple(where), unsilenced
        self._certified_only = certified_only
        self._certified: Index | None = None
        self._spreading, self._owns = spreading, owns
        self._engine = engine or Engine.open(
            path,
            device=device,
            threshold=threshold,
            snapshot=snapshot,
            where=where,
            unsilenced=unsilenced,
            certified_only=certified_only,
        )
        self._answering = self._spread(self._engine)

    def _spread(self, engine: Engine) -> Engine:
        """What answers queries; once closed, nothing does."""
        return engine if self._spreading is None or self._spreading.closed else self._spreading.spread(engine)

    def _asked_engine(self) -> Engine:
        """The same, while it may be asked."""
        if self._spreading is not None:
            self._spreading.check_open()
        return self._answering

    @property
    def engine(self) -> Engine:
        """The opened engine below, with all rows at hand."""
        return self._engine

    def close(self) -> None:
        """Let the cluster go that answers for this index, and for those that came of it by :meth:`only` and its like.

        Nothing is to be closed where none does, nor of what came of another index by :meth:`only` or :meth:`certified`.

        >>> import retr
        >>> with retr.open("my-index") as index:  # cluster="local" needs the extra: pip install 'retr[cluster]'
        ...     index.query("img.png").verdict
        'copy'
        """
        if self._spreading is not None and self._owns:
            self._spreading.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def snapshot(self) -> str:
        """Id of the snapshot that answers."""
        return self._engine.snapshot

    @property
    def model(self) -> str:
        """Names of the embedders, joined by +."""
        return self._engine.model

    @speaks_of_parameters
    def latest(self) -> Index:
        """This object where it answers from the current snapshot of its folder; else the folder opened anew."""
        if current_id(self.path) == self.snapshot:
            return self
        return Index(
            self.path,
            device=self._device,
            threshold=self._threshold,
            where=self._where,
            unsilenced=self._unsilenced,
            certified_only=self._certified_only,
            spreading=self._spreading,
            owns=self._owns,
        )

    @property
    def companion(self) -> str | None:
        """Name of the companion that is asked beside the certified channels; None where there is none."""
        return next((channel.name for channel in self._engine.companions), None)

    def certified(self) -> Index:
        """The index without its companion, at the same snapshot; as ``retr.open(path, certified_only=True)``."""
        if self.companion is None:
            return self
        if self._certified is None:
            self._certified = self._with(self._engine.certified, self._where, certified_only=True)
        return self._certified

    @speaks_of_parameters
    def only(self, *where: str) -> Index:
        """The part of the index that fulfils conditions, at the same snapshot; as ``retr.open(path, where=…)``.

        >>> import retr
        >>> len(retr.open("my-index").only("path~*00*"))
        10
        """
        if not where:
            return self
        engine = self._engine.only(tuple(map(parse_condition, where)))
        return self._with(engine, (*self._where, *where), certified_only=self._certified_only)

    def _with(self, engine: Engine, where: Sequence[str], *, certified_only: bool) -> Index:
        return Index(
            self.path,
            device=self._device,
            threshold=self._threshold,
            where=where,
            unsilenced=self._unsilenced,
            certified_only=certified_only,
            engine=engine,
            spreading=self._spreading,
            owns=False,
        )

    @property
    def uncertified_because(self) -> str | None:
        """Why no certificate can be given; None where certificates can."""
        return self._engine.why_uncertified()

    def __len__(self) -> int:
        """Distinct images in the gallery."""
        return self._engine.gallery.items

    def __repr__(self) -> str:
        certified = "" if self.uncertified_because is None else ", uncertified"
        return f"Index({str(self.path)!r}: {len(self)} images, {self.model}{certified}, snapshot {self.snapshot})"

    @overload
    def query(
        self,
        images: ImageLike,
        *,
        k: int = 10,
        certify: bool = False,
        eps: float | None = None,
        unit: str = "rmse",
        explain: bool = False,
        against: str | Sequence[str] = (),
        isolate: bool = False,
        rejected: Literal["raise", "keep"] = "raise",
    ) -> Answer: ...
    @overload
    def query(
        self,
        images: list[Any] | tuple[Any, ...],
        *,
        k: int = 10,
        certify: bool = False,
        eps: float | None = None,
        unit: str = "rmse",
        explain: bool = False,
        against: str | Sequence[str] = (),
        isolate: bool = False,
        rejected: Literal["raise"] = "raise",
    ) -> list[Answer]: ...
    @overload
    def query(
        self,
        images: list[Any] | tuple[Any, ...],
        *,
        k: int = 10,
        certify: bool = False,
        eps: float | None = None,
        unit: str = "rmse",
        explain: bool = False,
        against: str | Sequence[str] = (),
        isolate: bool = False,
        rejected: Literal["keep"],
    ) -> list[Answer | ImageRejected]: ...
    @speaks_of_parameters
    def query(
        self,
        images: Any,
        *,
        k: int = 10,
        certify: bool = False,
        eps: float | None = None,
        unit: str = "rmse",
        explain: bool = False,
        against: str | Sequence[str] = (),
        isolate: bool = False,
        rejected: str = "raise",
    ) -> Any:
        """Find copies of an image, and prove how far it may change before the answer does.

        >>> import retr
        >>> answer = retr.open("my-index").query("img.png", certify=True, eps=1)
        >>> answer.verdict, answer.copy.rmse > 1
        ('copy', True)

        Args:
            images: a path, bytes, PIL image or array (H, W, 3), uint8 or in [0, 1]; or a list of them.
            k: how many matches.
            certify: prove radii.
            eps: budget of the verdict, in ``unit``; implies ``certify``. None: the verdict on the image as it is.
            unit: rmse (8-bit levels), l2 (pixels) or psnr (dB).
            explain: say of every match how near it is, and what unrelated picture its threshold is measured by
                (``match.explained``).
            against: families of edits, such as ``"jpeg:30..95"``, ``"crop:95"`` or ``"all"``, of which the answer is
                proved as well, with ``eps`` (by default RMSE 1) on top; implies ``certify``. See docs/edits.md.
            isolate: decode files and bytes in a process that can be killed: for images from strangers.
            rejected: of a list, an input that is no acceptable image: ``raise`` its ImageRejected, or ``keep`` it at
                its place in the list of answers.

        Returns:
            One answer, or one for each image of the list, in order. Radii are in the pixels of the image as given.

        Raises:
            ImageRejected: no acceptable image.
            UsageError: bad k, budget or unit, or no image at all.
        """
        asked = _asked(k, certify, eps, check_unit(unit), [against] if isinstance(against, str) else against)
        asked = replace(asked, explain=explain)
        if rejected not in ("raise", "keep"):
            raise UsageError(f"rejected is raise or keep, got {rejected!r}")
        policy = self._engine.policy
        with decoder(isolate, 1) as decode:
            if not is_many(images):
                return next(self._answers([read_image(images, policy, decode)], asked))
            if rejected == "raise":
                return list(self._answers(read_images(images, policy, decode), asked))
            outcomes = [_read_or_rejected(image, policy, decode) for image in images]
        return self._answered_or_rejected(outcomes, asked)

    @speaks_of_parameters
    def prove(self, answer: Answer, image: ImageLike) -> list[ProofObject]:
        """Proof objects of an answer, one for each certified radius: to keep, to mail, to be checked by others.

        Of an answer with ``against`` there is one for each family of edits and claim as well.

        >>> import retr
        >>> index = retr.open("my-index")
        >>> answer = index.query("img.png", k=2, certify=True)
        >>> file = index.prove(answer, "img.png")[0].write("proofs")
        >>> retr.check(file, index).verdict
        'confirmed'

        Args:
            answer: of :meth:`query` with ``certify``, from this object.
            image: what was asked about; its values must be those of 8-bit pixels.

        Raises:
            UsageError: the answer has no certificate, is of another snapshot or image, or the image is not 8-bit.
        """
        if answer.snapshot != self.snapshot:
            raise UsageError(f"the answer is of snapshot {answer.snapshot}, and the index is at {self.snapshot}")
        return proofs_of(self._engine, answer, *subject_of(image, answer, self._engine.policy))

    @speaks_of_parameters
    def add(
        self,
        source: Source,
        *,
        labels: Mapping[str, str] | None = None,
        isolate: bool = False,
        resume: bool = False,
        progress: Progress | bool = False,
    ) -> IndexReport:
        """Index more images into this index; unchanged ones are left alone, and nothing is forgotten.

        >>> import retr
        >>> index = retr.open("my-index")
        >>> index.add(["queries/edited-3.jpg"]).indexed
        1

        Args:
            source: a folder (recursive), an archive, a URL, a file that lists these, or a list of them.
            labels: what every image of this run is labelled with.
            isolate: decode in processes that can be killed: for files from strangers.
            resume: go on with an interrupted run.
            progress: True for a bar, or an object that is told.

        Returns:
            Counts: seen = indexed + skipped + rejected. The object answers from the new snapshot.
        """
        told = tuple(parse_label(f"{key}={value}") for key, value in (labels or {}).items())
        options = IndexOptions(
            workers=os.cpu_count() or 2, resume=resume, device=self._device, isolate=isolate, labels=told
        )
        report = _index(source, self.path, options, progress, create=False)
        self._reopen()
        return report

    @speaks_of_parameters
    def sync(
        self,
        corpus: Source,
        *,
        prune_all: bool = False,
        resume: bool = False,
        isolate: bool = False,
        progress: Progress | bool = False,
    ) -> IndexReport:
        """Make this index follow a folder: add what is new, update what has changed, remove what is gone.

        >>> import retr
        >>> index = retr.open("my-index")
        >>> index.sync("corpus").pruned
        0
        >>> index.plan("corpus").added
        ()

        Args:
            corpus: a folder, an archive or a URL of one; from a list nothing is removed.
            prune_all: also where nothing is seen, or more than half of what it holds from the folder would go.
            resume: go on with an interrupted run.
            isolate: decode in processes that can be killed: for files from strangers.
            progress: True for a bar, or an object that is told.

        Returns:
            Counts. The object answers from the new snapshot.

        Raises:
            IndexStateError: more than half would go; nothing is changed then.
        """
        options = IndexOptions(
            workers=os.cpu_count() or 2,
            resume=resume,
            prune=True,
            prune_all=prune_all,
            device=self._device,
            isolate=isolate,
        )
        report = _index(corpus, self.path, options, progress, create=False)
        self._reopen()
        return report

    @speaks_of_parameters
    def plan(self, corpus: Source) -> SyncPlan:
        """What :meth:`sync` would do, by names, sizes and times alone."""
        with as_corpus(corpus) as name:
            return plan_sync(name, self.path)

    @speaks_of_parameters
    def set_rules(self, *, negative: Sequence[str] = (), reach: Mapping[str, float] | None = None) -> None:
        """Say which labels make negative banks, and how far items with a label accept; replaces all rules there were.

        >>> import retr
        >>> index = retr.open("my-index")
        >>> index.set_rules(negative=["bank=allowed"], reach={"bank=logos": 0.8})
        >>> index.set_rules()

        Args:
            negative: conditions, as for ``where``: a match there silences all others, and the verdict is *not a copy*.
            reach: condition → how many times as far its items accept as they would, at most 2.

        Raises:
            UsageError: no condition, one with two rules, or a reach out of range.
            IndexStateError: an unfinished run, or another writer.
        """
        with Writer(self.path) as writer:
            writer.rule(check_rules(negative, reach or {}))
        self._reopen()

    @speaks_of_parameters
    def compact(self, *, forget_snapshots: bool = False) -> Compacted:
        """Write the live rows into few segments; every answer stays the same, bit for bit.

        >>> import retr
        >>> index = retr.open("my-index")
        >>> index.compact().segments[1]
        1

        Args:
            forget_snapshots: forget all older snapshots, and free the room that only they take.
        """
        done = compact_index(self.path, forget=forget_snapshots)
        self._reopen()
        return done

    @speaks_of_parameters
    def remove(self, items: Removable | Sequence[Removable] = (), *, ids: Sequence[str] = ()) -> int:
        """Take images out of this index. Other files with the same pixels stay, unless they are named too.

        >>> import retr
        >>> index = retr.open("my-index")
        >>> index.remove(index.query("img.png").matches[0])
        1

        Args:
            items: paths of indexed files, or matches of an answer; one, or several.
            ids: items by the id that a match has.

        Returns:
            How many were taken out. The object answers from the new snapshot.

        Raises:
            UsageError: the index holds no such item; then nothing is taken out.
            IndexStateError: an unfinished run, or another writer.
        """
        several = [items] if isinstance(items, str | os.PathLike | Match) else list(items)
        named = [*ids, *(item.id for item in several if isinstance(item, Match))]
        paths = [absolute_text(item) for item in several if not isinstance(item, Match)]
        with Writer(self.path) as writer:
            count = writer.remove(ids=named, paths=paths)
            writer.commit()
        self._reopen()
        return count

    def duplicates(self) -> list[tuple[str, ...]]:
        """Groups of files that hold the same pixels, by path; each group is one item of the gallery.

        >>> import retr
        >>> retr.open("my-index").duplicates()
        []
        """
        table = read_held(self.path, self._engine.gallery.snapshot).table
        groups = table.group_by("pixels_sha256", use_threads=False).aggregate([("path", "list"), ("path", "count")])
        return [tuple(group) for group in groups.filter(pc.field("path_count") > 1)["path_list"].to_pylist()]

    @speaks_of_parameters
    def calibrate(
        self,
        negatives: Source,
        *,
        fpr: float = 1e-3,
        shares: Sequence[float] | None = None,
        thresholds: str = "local",
        known_copies: PathLike | None = None,
        progress: Progress | bool = False,
    ) -> Calibration:
        """Set the thresholds from images known to have no copy here, with a bound that holds for finitely many.

        Args:
            negatives: a folder, a file that lists paths, or a list of paths. Too few cannot support a small rate.
            fpr: false-match rate per query to aim at.
            shares: each channel's part of the false matches; None for equal parts.
            thresholds: ``local``: one for each row, by how near its neighbours are; ``global``: one for each channel.
            known_copies: CSV file of pairs that a person has looked at: ``image``, ``copy_of`` and ``relation``, which
                is ``different`` for those that are no copies.
            progress: True for a bar, or an object that is told.

        Returns:
            The thresholds, how many negatives were used, and which are near stored images (``pairs``): those that are
            presumed to be copies were left out. The object answers with them from now on.

        Raises:
            UsageError: too few negatives for so small a rate, or numbers out of range.
        """
        local = check_thresholds(thresholds)
        known = None if known_copies is None else read_known_pairs(Path(known_copies))
        with as_corpus(negatives) as name, watched(progress, "calibrating", "images") as told:
            paths = [asked_name(path) for path in read_corpus(name, exclude=self.path).paths]
            found = set_thresholds(self.path, paths, fpr=fpr, shares=shares, local=local, known=known, progress=told)
        self._threshold = None  # the stored one counts now
        self._reopen()
        return found

    @speaks_of_parameters
    def info(self) -> dict[str, Any]:
        """What the index on disk holds now, as in ``retr info``: counts, channels, thresholds, digests."""
        return describe_index(self.path)

    @speaks_of_parameters
    def rejects(self) -> list[dict[str, Any]]:
        """The inputs that were refused, each with its path, stage and reason."""
        return list_rejects(self.path)

    @speaks_of_parameters
    def verify(self, *, repair: bool = False, clear: bool = False) -> Verified:
        """Read every file of the index and hold it against its SHA-256 and the others; names what is wrong.

        >>> import retr
        >>> retr.open("my-index").verify().problems
        ()

        Args:
            repair: drop what cannot be trusted; a segment with a damaged file goes, items and all.
            clear: remove files that no snapshot names.

        Returns:
            What was found, after the repair. Where something was repaired the object answers from the new snapshot.
        """
        if repair and repair_index(self.path):
            self._reopen()
        if clear:
            clear_index(self.path)
        return verify_index(self.path)

    def _answers(self, pictures: Sequence[Picture], asked: _Asked) -> Iterator[Answer]:
        for batch in _batches(pictures):
            pixels = [picture.given for picture in batch]
            budgets = [asked.budget(picture) for picture in batch]
            l2 = [None if budget is None else budget.l2 for budget in budgets]
            given = None if budgets[0] is None else budgets[0].given
            words = None if given is None else asked_words(*given)
            found = self._asked_engine().answer_many(
                pixels, k=asked.k, certify=asked.certify, eps_l2=l2, asked=words, explain=asked.explain
            )
            for answer, picture, budget in zip(found, batch, budgets, strict=True):
                yield answer_of(self._with_edits(answer, picture, asked), picture.name, budget)

    def _with_edits(self, answer: room.Answer, picture: Picture, asked: _Asked) -> room.Answer:
        if not asked.against:
            return answer
        assert asked.eps is not None, "edits are asked about with a budget"
        pixels = exact_bytes(picture)
        proof = prove_ranges(self._asked_engine(), pixels, answer, asked.against, eps=asked.eps, unit=asked.unit)
        return replace(answer, against=proof)

    def _answered_or_rejected(
        self, outcomes: Sequence[Picture | ImageRejected], asked: _Asked
    ) -> list[Answer | ImageRejected]:
        answers = self._answers([one for one in outcomes if isinstance(one, Picture)], asked)
        return [next(answers) if isinstance(one, Picture) else one for one in outcomes]

    def _reopen(self) -> None:
        engine = Engine.open(
            self.path,
            device=self._device,
            threshold=self._threshold,
            where=self._where,
            unsilenced=self._unsilenced,
            certified_only=self._certified_only,
        )
        answering = self._spread(engine)  # where that fails, all of this index stays as it was
        self._engine, self._answering, self._certified = engine, answering, None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of every image of a query."""

    k: int
    certify: bool
    eps: float | None
    unit: Unit
    against: tuple[AskedFamily, ...] = ()
    explain: bool = False

    def budget(self, picture: Picture) -> Radius | None:
        """The budget for an image of this size."""
        return None if self.eps is None else Radius.asked(self.eps, self.unit, picture.size)


def _asked(k: int, certify: bool, eps: float | None, unit: Unit, against: Sequence[str]) -> _Asked:
    families = tuple(read_families(against)) if against else ()
    if families and eps is None and unit != "rmse":
        raise UsageError(f"unit {unit} needs eps")
    budget = 1.0 if families and eps is None else eps
    return _Asked(k, certify or budget is not None, budget, unit, families)


def _read_or_rejected(image: ImageLike, policy: DecodePolicy, decode: Decoder) -> Picture | ImageRejected:
    try:
        return read_image(image, policy, decode)
    except ImageRejected as why:
        return why


def _batches(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    """Consecutive pictures, cut after so many of them or so many values."""
    batch: list[Picture] = []
    for picture in pictures:
        values = sum(one.size for one in batch) + picture.size
        if batch and (len(batch) == QUERIES_AT_ONCE or values > VALUES_AT_ONCE):
            yield batch
            batch = []
        batch.append(picture)
    if batch:
        yield batch


def _index(
    source: Source, path: Path, options: IndexOptions, progress: Progress | bool, *, create: bool = True
) -> IndexReport:
    with as_corpus(source) as name, watched(progress, "indexing", "images") as told:
        return build_index(name, path, options, told, create=create)
