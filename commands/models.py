"""``retr models``: list, show, prove and convert embedding models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError
from .options import FormatOption, PretrainedOption
from .output import say, say_all

app = typer.Typer(no_args_is_help=True, help="List, show, prove and convert embedding models.")


@app.command("list", epilog="Example: retr models list --format json")
def models_list(form: FormatOption = "table") -> None:
    """List the embedders that can be named with --model."""
    from dataclasses import asdict

    from ..embedding.registry import list_models
    from ..reports.model_table import print_models

    say_all([asdict(model) for model in list_models()], form, print_models)


@app.command("show", epilog="Example: retr models show block-means")
def models_show(
    spec: Annotated[str, typer.Argument(metavar="MODEL", help="A model, as for --model: a name or a file.")],
    pretrained: PretrainedOption = True,
    form: FormatOption = "table",
) -> None:
    """Show what a model is and what is proved of it."""
    from ..embedding.describe import describe_model
    from ..reports.model_table import print_model

    say(describe_model(spec, pretrained=pretrained), form, print_model)


@app.command(
    "prove",
    short_help="Prove a model's constant again from its weights.",
    epilog="Example: retr models prove lipsim.safetensors",
)
def models_prove(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model file, or the name of a packaged model.")],
    form: FormatOption = "table",
) -> None:
    """Prove a model file's constant again, layer by layer; exits with 5 where header or weights were changed."""
    from ..embedding.describe import prove_file
    from ..reports.model_table import print_proof

    say(prove_file(file), form, print_proof)


@app.command(
    "convert",
    short_help="Convert a published checkpoint to a model file.",
    epilog="Example: retr models convert model.ckpt-1.pth lipsim.safetensors",
)
def models_convert(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A published LipSim checkpoint (model.ckpt-N.pth).")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The model file to write (*.safetensors).")],
    q: Annotated[
        str, typer.Option(help="published: the function the authors' code computes; right: q scales as in the theorem.")
    ] = "published",
    form: FormatOption = "table",
) -> None:
    """Convert a published checkpoint to a model file with a proved bound."""
    from ..embedding.convert import convert_checkpoint
    from ..embedding.describe import describe_model
    from ..reports.model_table import print_model

    if output.suffix != ".safetensors":
        raise UsageError(f"a model file ends in .safetensors, got {output}")
    if q not in ("published", "right"):
        raise UsageError(f"--q takes published or right, got {q!r}")
    convert_checkpoint(checkpoint, output, q=q)  # type: ignore[arg-type]
    say(describe_model(str(output)), form, print_model)
