"""``retr serve``: the same answers over HTTP, and in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError
from .options import index_path
from .output import note

app = typer.Typer()


@app.command(epilog="Example: retr serve my-index --serve-images")
def serve(
    indexes: Annotated[
        list[Path] | None,
        typer.Argument(metavar="INDEX…", help="The index folders [default: $RETR_INDEX, else ./retr-index]."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's own needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A secret of 16 characters or more that requests must show.")
    ] = None,
    writable: Annotated[
        bool, typer.Option("--writable", help="Let requests add and remove images, and keep decisions.")
    ] = False,
    serve_images: Annotated[
        bool, typer.Option("--serve-images", help="Show small pictures of stored images, and their file names.")
    ] = False,
    serve_proofs: Annotated[
        bool, typer.Option("--serve-proofs", help="Give out proofs, which name stored files by their paths.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A name by which a proxy asks for it, beside those of this machine; repeatable."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(help="Images answered by one pass over the rows.", min=1, max=256)] = 16,
    workers: Annotated[int, typer.Option(help="Processes that decode.", min=1, max=64)] = 2,
) -> None:
    """Serve indexes over HTTP, with a page for people at /. Needs the extra: pip install 'retr[serve]'.

    Answers are those of retr query. A new snapshot of an index is served as soon as it is committed, by whoever.
    """
    import importlib.util
    import logging
    import sys

    missing = [name for name in ("fastapi", "uvicorn", "python_multipart") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"retr serve needs {', '.join(missing)}: pip install 'retr[serve]'")
    from ..core.tokens import read_token
    from ..service.app import run
    from ..service.settings import Settings, named

    settings = Settings(
        indexes=named(indexes or [index_path(None)]),
        host=host,
        port=port,
        token=None if token_file is None else read_token(token_file),
        writable=writable,
        serve_images=serve_images,
        serve_proofs=serve_proofs,
        allow_hosts=tuple(name.lower() for name in allow_host or ()),
        batch=batch,
        decoders=workers,
    )
    for folder in settings.indexes.values():
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder; make an index first: retr index ./corpus -i {folder}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter('{"time": "%(asctime)s", "level": "%(levelname)s", "said": %(message)s}'))
    log = logging.getLogger("retr.service")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    note(f"serving {', '.join(settings.indexes)} at http://{host}:{port}/")
    run(settings)
