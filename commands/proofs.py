"""``retr verify-proof`` and ``retr explain``: check a proof that ``retr query --proof`` has written, and read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import FormatOption, IndexOption, index_path
from .output import say_all
from .outputs import check_file

app = typer.Typer()
REFUTED = 5
"""Exit code: some proof is refuted, or not signed as it should be."""


@app.command(
    "verify-proof", epilog="Example: retr verify-proof proofs/4f5e…-first-place-8a….json -i my-index --image img.png"
)
def verify_proof(
    proofs: Annotated[list[Path], typer.Argument(metavar="PROOF", help="Proofs, or folders of them.")],
    index: IndexOption = None,
    image: Annotated[
        Path | None, typer.Option("--image", help="The query's file [default: the path that the proof names].")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="Also check the signature PROOF.sig by this Ed25519 key (PEM).")
    ] = None,
    any_checker: Annotated[
        bool, typer.Option("--any-checker", help="Use this version's checker although the proof names another.")
    ] = False,
    form: FormatOption = "table",
) -> None:
    """Check proofs by the independent checker: confirmed, refuted or unsupported, with the reason.

    It computes everything again from the image, the model and all rows of the index, and shares no code with the
    engine. Exit code 5 if any proof is refuted, 3 if some could not be checked.
    """
    from ..core.errors import IntegrityError

    records = list(_found(proofs, index_path(index), image, public_key, any_checker=any_checker))
    say_all(records, form, _print)
    if any(record["verdict"] == "refuted" for record in records):
        raise IntegrityError("a proof is refuted")
    if any(record["verdict"] == "unsupported" for record in records):
        raise typer.Exit(3)


def _found(proofs: list[Path], home: Path, image: Path | None, key: Path | None, *, any_checker: bool) -> Any:
    from ..certificates.signature import check_signature
    from ..certificates.verify_ranges import verify
    from ..core.errors import IntegrityError, UsageError

    files = [file for path in proofs for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise UsageError(f"no proofs in {', '.join(map(str, proofs))}")
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file} is not there; give a file that retr query --proof has written")
        try:
            if key is not None:
                check_signature(file, key)
            found = verify(file, home, image, any_checker=any_checker)
            verdict, why = found.verdict, found.why
        except IntegrityError as error:
            verdict, why = "refuted", str(error)
        yield {"proof": str(file), "verdict": verdict, "why": why or None, "signed": key is not None}


def _print(records: Any) -> None:
    from ..core.names import shown

    for record in records:
        print(shown(f"{record['proof']}: {record['verdict']}" + (f": {record['why']}" if record["why"] else "")))


@app.command(epilog="Example: retr explain proofs/4f5e…-first-place-8a….json --html proof.html")
def explain(
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="A file that retr query --proof has written.")],
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write a page to print, with the two pictures.")
    ] = None,
    index: IndexOption = None,
    image: Annotated[
        Path | None, typer.Option("--image", help="The query's file [default: the path that the proof names].")
    ] = None,
) -> None:
    """Say in plain sentences what a proof says and does not say. With -i it is also checked."""
    from ..certificates.statement import read_proof
    from ..certificates.verify_ranges import verify
    from ..core.names import shown
    from ..reports.proof_words import sentences, write_proof_page

    check_file(html, index=index)
    found = read_proof(proof)
    verdict = None if index is None else ": ".join(filter(None, verify(proof, index, image)))
    for sentence in [*sentences(found), *([] if verdict is None else [f"Checked now: {verdict}."])]:
        print(shown(sentence))
    if html is not None:
        write_proof_page(html, found, image=image, verdict=verdict)
