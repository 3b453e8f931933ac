"""``retr query``: find copies, and prove the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..cluster.naming import Cluster
from ..core.errors import CertificateWithheld, UsageError
from ..core.loading import without_collecting
from .cluster import ClusterOption, DeadlineOption, PartialOption, ShardsOption, spread
from .inputs import Input, image_inputs
from .options import (
    REJECTED,
    CertifiedOnlyOption,
    DeviceOption,
    FormatOption,
    IndexOption,
    IsolateOption,
    SnapshotOption,
    WhereOption,
    index_path,
)
from .output import note
from .outputs import check_file, check_folder

if TYPE_CHECKING:
    from ..core.units import Unit
    from ..images.families.asked import AskedFamily
    from ..images.isolated import Decoder
    from ..retrieval.engine import Engine
    from ..retrieval.query import Outcome

app = typer.Typer()
UNITS = {"rmse": "RMSE {}", "l2": "ℓ2 {}", "psnr": "PSNR {} dB"}
"""How a budget is said, by its unit."""


@app.command(
    short_help="Find copies of images, and prove the answer.",
    epilog="Example: retr query img.png --certify --eps 2 --unit rmse",
)
def query(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Images, folders, files that list paths, or - for standard input."),
    ],
    index: IndexOption = None,
    k: Annotated[int, typer.Option("-k", help="How many matches.", min=1)] = 10,
    certify: Annotated[bool, typer.Option("--certify", help="Prove radii for the answer.")] = False,
    eps: Annotated[
        float | None,
        typer.Option(help="Budget of the proved verdict [default with --certify: 1 rmse]; implies --certify."),
    ] = None,
    unit: Annotated[str, typer.Option(help="Unit of --eps: rmse (8-bit levels), l2 (pixels) or psnr (dB).")] = "rmse",
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Prove the answer of every edit of a family, with --eps on top: jpeg:30..95, brightness:0.6..1.6, "
            "crop:95, … or all; repeat for several. Implies --certify."
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="With --against and one image: also write a page of what is proved, for people.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also write a page of the answers, with pictures.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Replace the stored threshold (index of one channel).")
    ] = None,
    require_certificate: Annotated[
        bool, typer.Option("--require-certificate", help="Exit with 4 if any certificate is withheld.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of every match what unrelated picture its threshold is measured by.")
    ] = False,
    where: WhereOption = None,
    unsilenced: Annotated[
        bool, typer.Option("--unsilenced", help="As if no bank were negative: its items are matches like all others.")
    ] = False,
    certified_only: CertifiedOnlyOption = False,
    snapshot: SnapshotOption = None,
    proof: Annotated[
        Path | None,
        typer.Option("--proof", help="Write a proof of each certified claim into this folder; implies --certify."),
    ] = None,
    sign_key: Annotated[
        Path | None, typer.Option("--sign-key", help="Sign the proofs with this Ed25519 private key (PEM).")
    ] = None,
    device: DeviceOption = "auto",
    isolate: IsolateOption = False,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask a service of retr serve instead of an index folder.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="With --server or --cluster: the secret that it asks for."),
    ] = None,
    cluster: ClusterOption = None,
    shards: ShardsOption = None,
    deadline: DeadlineOption = None,
    allow_partial: PartialOption = False,
    form: FormatOption = "table",
) -> None:
    """Find copies of images and, with --certify, prove how far they may change before the answer does.

    One record for each image, in the order named, also for those that cannot be read.
    """
    from ..core.units import check_unit

    unit_name = check_unit(unit)
    if server is not None:
        from ..core.rounded import budget_text
        from .remote import Asked, ask_server

        here = {"-i": index, "--page": page, "--threshold": threshold, "--snapshot": snapshot, "--proof": proof}
        here |= {"--unsilenced": unsilenced or None, "--cluster": cluster}
        _refuse("--server asks another machine; it goes without", here)
        eps = _budget(certify or require_certificate or bool(against), eps, unit)
        asked = Asked(k, eps, unit, tuple(against or ()), tuple(where or ()), explain, certified_only)
        words = None if eps is None else UNITS[unit].format(budget_text(eps))
        check_file(html)
        inputs = image_inputs(images, exclude=index_path(None))
        ask_server(server, token_file, inputs, asked, form, strict=require_certificate, words=words, html=html)
        return
    if cluster is None:
        _refuse("only --server and --cluster take", {"--token-file": token_file})
    away = Cluster(cluster, shards, deadline, allow_partial, token_file)
    home = index_path(index)
    for file in (page, html):
        check_file(file, index=home)
    check_folder(proof, "--proof writes proofs", index=home)
    with without_collecting():
        from ..images.isolated import decoder
        from ..retrieval.engine import Engine
    families = _families(against or ())
    budget = _budget(certify or require_certificate or bool(families) or proof is not None, eps, unit)
    _check_signing(proof, sign_key)
    engine = Engine.open(
        home,
        device=device,
        threshold=threshold,
        snapshot=snapshot,
        where=where or (),
        unsilenced=unsilenced,
        certified_only=certified_only,
    )
    if not engine.gallery.content.complete:
        note(f"{home}: {engine.gallery.content}")
    if proof is not None:
        from ..retrieval.proofs import check_provable

        check_provable(engine, edits=bool(families))
    inputs = image_inputs(images, exclude=home)
    if page is not None and (not families or len(inputs) != 1):
        raise UsageError(f"--page shows one image with --against, got {len(inputs)} and {len(families)} families")
    run = _Printed(engine, k, form, None if budget is None else (budget, unit))
    with spread(engine, away) as answering, decoder(isolate, 1) as decode:
        outcomes = _outcomes(
            answering, inputs, k=k, eps=budget, unit=unit_name, against=families, explain=explain, decode=decode
        )
        outcomes = outcomes if page is None else _paged(outcomes, page, engine, families)
        outcomes = outcomes if html is None else _shown(outcomes, html, home, run.words)
        run.print(outcomes if proof is None else _proving(engine, outcomes, proof, sign_key))
    if require_certificate and run.withheld:
        raise CertificateWithheld("certificate withheld: " + "; ".join(run.withheld))
    if run.refused:
        note(f"{run.refused} of {len(inputs)} inputs have no answer")
        raise typer.Exit(REJECTED)


def _refuse(why: str, given: Mapping[str, object]) -> None:
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise UsageError(f"{why} {', '.join(wrong)}")


def _check_signing(proof: Path | None, key: Path | None) -> None:
    if key is None:
        return
    if proof is None:
        raise UsageError("--sign-key signs proofs, and needs --proof")
    from ..certificates.signature import check_private_key

    check_private_key(key)


def _budget(proving: bool, eps: float | None, unit: str) -> float | None:
    if eps is None and unit != "rmse":
        raise UsageError(f"--unit {unit} needs --eps")
    return 1.0 if eps is None and proving else eps


def _families(texts: Sequence[str]) -> list[AskedFamily]:
    if not texts:
        return []
    from ..images.families.asked import read_families

    return read_families(texts)


def _outcomes(
    engine: Engine,
    inputs: list[Input],
    *,
    k: int,
    eps: float | None,
    unit: Unit,
    against: Sequence[AskedFamily],
    explain: bool,
    decode: Decoder,
) -> Iterator[Outcome]:
    """One for each input, in order."""
    from ..retrieval.each import answer_each
    from ..retrieval.query import Outcome, query_files

    answered = answer_each(
        lambda paths: query_files(
            engine,
            paths,
            k=k,
            certify=eps is not None,
            eps=eps,
            unit=unit,
            against=against,
            decode=decode,
            explain=explain,
            watch=_watched,
        ),
        [one.path for one in inputs if one.refused is None],
    )
    for one in inputs:
        yield next(answered) if one.refused is None else Outcome(one.path, None, one.refused)


def _watched(families: Iterable[AskedFamily]) -> Iterator[AskedFamily]:
    """The same; on standard error how far it is, for a proof may take minutes."""
    from ..reports.progress import ProgressBar

    every = list(families)
    with ProgressBar("proving edits", "families") as told:
        told.start(len(every))
        for family in every:
            told.doing(f"proving {family.text}")
            yield family
            told.advance()


def _proving(engine: Engine, outcomes: Iterable[Outcome], folder: Path, key: Path | None) -> Iterator[Outcome]:
    """The outcomes as they are; the proofs of each are in the folder before it is printed.

    Where they cannot be written every answer is printed all the same, and then it is said why.
    """
    from ..certificates.signature import sign
    from ..retrieval.proofs import proofs_of_outcome

    written, failed = 0, None
    for outcome in outcomes:
        try:
            for one in proofs_of_outcome(engine, outcome) if failed is None else ():
                file = one.write(folder)
                written += 1
                if key is not None:
                    sign(file, key)
        except (OSError, UsageError) as error:
            failed = error
        yield outcome
    if failed is not None:
        raise failed
    check = f"; check them with: retr verify-proof {folder}" if written else ", for nothing is certified"
    note(f"{written} proofs in {folder}{check}")


def _shown(outcomes: Iterable[Outcome], html: Path, home: Path, words: str | None) -> Iterator[Outcome]:
    """The outcomes as they are; when all are there, a page of them is."""
    from ..reports.query_page import asked, write_query_page

    found = []
    for outcome in outcomes:
        answer = outcome.answer or outcome.refused
        assert answer is not None, "an outcome is one of the two"
        found.append(asked(answer, outcome.path, words))
        yield outcome
    write_query_page(html, found, str(home))
    note(f"page: {html}")


def _paged(
    outcomes: Iterable[Outcome], page: Path, engine: Engine, families: Sequence[AskedFamily]
) -> Iterator[Outcome]:
    """The outcomes as they are; the page of the one image is written when its answer is printed."""
    from ..indexer.addresses import asked_text
    from ..indexer.entries import load_named
    from ..reports.ranges_page import ranges_page

    for outcome in outcomes:
        yield outcome
        if outcome.answer is not None:
            pixels = load_named(asked_text(outcome.path), engine.policy).pixels
            page.write_text(
                ranges_page(outcome.answer, outcome.path, pixels, families, engine.policy), encoding="utf-8"
            )
            note(f"wrote {page}")


class _Printed:
    """Prints outcomes as they come, and remembers what the exit code depends on."""

    def __init__(self, engine: Engine, k: int, form: str, asked: tuple[float, str] | None) -> None:
        self.engine = engine
        self.k = k
        self.form = form
        self.asked = asked
        self.refused = 0
        self.withheld: list[str] = []

    @property
    def words(self) -> str | None:
        """The budget as it was given."""
        from ..core.rounded import budget_text

        return None if self.asked is None else UNITS[self.asked[1]].format(budget_text(self.asked[0]))

    def print(self, outcomes: Iterable[Outcome]) -> None:
        """All of them, in the format asked for."""
        if self.form == "table":
            self._tables(outcomes)
            return
        from ..reports.emit import emit
        from ..reports.query_records import COLUMNS, query_rows

        records = (self._record(outcome) for outcome in outcomes)
        if self.form in ("csv", "parquet"):
            emit((row for record in records for row in query_rows(record)), self.form, columns=COLUMNS)
        else:
            emit(records, self.form)

    def _tables(self, outcomes: Iterable[Outcome]) -> None:
        from ..reports.query_table import print_answer, print_refusal

        for outcome in outcomes:
            self._watch(outcome)
            if outcome.answer is not None:
                print_answer(outcome.answer, outcome.path, asked=self.words)
            elif outcome.refused is not None:
                print_refusal(outcome.refused, outcome.path)

    def _record(self, outcome: Outcome) -> dict[str, Any]:
        from ..reports.query_records import answer_record, failed_record

        name = self._watch(outcome)
        if outcome.answer is not None:
            return answer_record(outcome.answer, name)
        assert outcome.refused is not None
        return failed_record(outcome.refused, name, model=self.engine.model, snapshot=self.engine.snapshot, k=self.k)

    def _watch(self, outcome: Outcome) -> str:
        """Count and say what went wrong; the name of the input as text."""
        from ..indexer.addresses import asked_text

        name = asked_text(outcome.path)
        if outcome.answer is None:
            self.refused += 1
            if self.form != "table":
                note(f"{outcome.path}: {outcome.refused}")
        elif outcome.answer.withheld and self.asked is not None:
            self.withheld.append(f"{outcome.path}: {outcome.answer.withheld}")
        return name
