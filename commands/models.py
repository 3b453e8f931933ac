"""``retr models``: list, show, prove and convert embedding models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError
from .options import FormatOption

app = typer.Typer(no_args_is_help=True, help="List, show, prove and convert embedding models.")


@app.command("list", epilog="Example: retr models list --format json")
def models_list(form: FormatOption = "table") -> None:
    """List the embedders that can be named with --model."""
    from dataclasses import asdict

    from ..embedding.registry import list_models
    from ..reports.emit import check_format, emit
    from ..reports.model_table import print_models

    chosen, rows = check_format(form), [asdict(model) for model in list_models()]
    print_models(rows) if chosen == "table" else emit(rows, chosen)


@app.command("show", epilog="Example: retr models show block-means")
def models_show(
    spec: Annotated[str, typer.Argument(help="A model, as for --model: a name or a file.")],
    pretrained: Annotated[
        bool, typer.Option("--pretrained/--no-pretrained", help="Published weights for timm: models.")
    ] = True,
    form: FormatOption = "table",
) -> None:
    """Show what a model is and what is proved of it."""
    from ..embedding.describe import describe_model
    from ..reports.emit import check_format, emit
    from ..reports.model_table import print_model

    chosen, facts = check_format(form), describe_model(spec, pretrained=pretrained)
    print_model(facts) if chosen == "table" else emit([facts], chosen, one=True)


@app.command("prove", epilog="Example: retr models prove lipsim.safetensors")
def models_prove(
    file: Annotated[Path, typer.Argument(help="A model file.")],
    form: FormatOption = "table",
) -> None:
    """Prove a model file's constant again, layer by layer; exits with 5 where header or weights were changed."""
    from ..embedding.describe import prove_file
    from ..reports.emit import check_format, emit
    from ..reports.model_table import print_proof

    chosen, facts = check_format(form), prove_file(file)
    print_proof(facts) if chosen == "table" else emit([facts], chosen, one=True)


@app.command("convert", epilog="Example: retr models convert model.ckpt-1.pth lipsim.safetensors")
def models_convert(
    checkpoint: Annotated[Path, typer.Argument(help="A published LipSim checkpoint (model.ckpt-N.pth).")],
    output: Annotated[Path, typer.Argument(help="The model file to write (*.safetensors).")],
    q: Annotated[
        str, typer.Option(help="published: the function the authors' code computes; right: q scales as in the theorem.")
    ] = "published",
    form: FormatOption = "table",
) -> None:
    """Convert a published checkpoint to a model file with a proved bound."""
    from ..embedding.convert import convert_checkpoint
    from ..embedding.describe import describe_model
    from ..reports.emit import check_format, emit
    from ..reports.model_table import print_model

    chosen = check_format(form)
    if output.suffix != ".safetensors":
        raise UsageError(f"a model file ends in .safetensors, got {output}")
    if q not in ("published", "right"):
        raise UsageError(f"--q takes published or right, got {q!r}")
    convert_checkpoint(checkpoint, output, q=q)  # type: ignore[arg-type]
    facts = describe_model(str(output))
    print_model(facts) if chosen == "table" else emit([facts], chosen, one=True)
