"""``retr cluster``: an index held by several machines; and what other commands need to ask them."""

from __future__ import annotations

import secrets
import shlex
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..cluster.naming import LOCAL, Cluster
from ..core.errors import UsageError
from .options import FormatOption, IndexPlace, index_path
from .output import note, say_all

if TYPE_CHECKING:
    from ..cluster.crew import Crew
    from ..indexer.errand import Sent
    from ..retrieval.engine import Engine

app = typer.Typer(no_args_is_help=True, help="Hold an index in the memory of several machines, arranged by Ray.")

ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="A cluster of Ray: local (this machine, for this command), auto, or HOST:PORT. Needs retr[cluster].",
    ),
]
ShardsOption = Annotated[
    int | None, typer.Option(help="With --cluster: in how many parts the rows are held [default: one for each CPU].")
]
DeadlineOption = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="With --cluster: how long a shard may take [default: 60].")
]
PartialOption = Annotated[
    bool,
    typer.Option(
        "--allow-partial", help="With --cluster: answer without shards that are silent, and without a certificate."
    ),
]
ClusterToken = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="The secret by which the cluster knows its users.")
]


@contextmanager
def spread(engine: Engine, asked: Cluster) -> Iterator[Engine]:
    """The engine, answered by the cluster while it is needed; as it is, where none was named."""
    if asked.address is None:
        yield engine
        return
    from ..cluster.spreading import Spreading

    with Spreading(asked) as cluster:
        yield cluster.spread(engine)


@contextmanager
def indexing(asked: Cluster) -> Iterator[Sent | None]:
    """What makes rows on the cluster while it is needed; None where none was named."""
    if asked.address is None:
        asked.refuse_token()
        yield None
        return
    from ..cluster.indexing import rows_by_tasks
    from ..cluster.session import connected

    with connected(asked.address, token=asked.token):
        yield rows_by_tasks


@app.command(epilog="Example: retr cluster serve my-index --cluster auto --shards 8")
def serve(
    index: IndexPlace = None,
    cluster: Annotated[
        str,
        typer.Option("--cluster", metavar="ADDRESS", help="A cluster of Ray: local (this machine), auto, HOST:PORT."),
    ] = LOCAL,
    shards: ShardsOption = None,
    token_file: ClusterToken = None,
) -> None:
    """Hold an index in shards until Ctrl-C; retr query -i INDEX --cluster ADDRESS asks them.

    A new snapshot is held as soon as it is committed, and the one before it as long, so that queries that have begun
    end as they began. All machines must see the index folder under its name.
    """
    from ..cluster.session import connected
    from ..retrieval.engine import Engine

    home = index_path(index)
    asked = Cluster(cluster, shards, token_file=token_file)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        try:
            engine = Engine.open(home)
            token, file = asked.token, token_file
            if cluster == LOCAL and token is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retr-token-")))
                token, file = secrets.token_hex(32), folder / "token"
                file.write_text(token)  # in a folder that nobody else can look into
            session = stack.enter_context(connected(cluster, token=token))
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray has put one of its own in its place
            words = [session.address, *(["--token-file", shlex.quote(str(file))] if file is not None else [])]
            with _Serving(home, shards or session.cpus) as serving:
                serving.begin(engine)
                note(f"ask with: retr query IMAGE -i {shlex.quote(str(home))} --cluster {' '.join(words)}")
                while True:
                    time.sleep(1.0)
                    serving.follow()
        except KeyboardInterrupt:
            note("stopped")


class _Serving:
    """Crews of the newest snapshots of an index."""

    def __init__(self, home: Path, shards: int) -> None:
        self._home, self._shards = home, shards
        self._crews: dict[str, ExitStack] = {}

    def __enter__(self) -> _Serving:
        return self

    def __exit__(self, *_: object) -> None:
        for crew in self._crews.values():
            crew.close()

    def begin(self, engine: Engine) -> None:
        """Hold a snapshot; of older ones the last is kept."""
        from ..cluster.crew import hired
        from ..cluster.manifest import Manifest

        manifest = Manifest.even(engine.snapshot, engine.gallery.snapshot.rows, self._shards)
        stack = ExitStack()
        crew: Crew = stack.enter_context(hired(self._home, manifest, named=True))
        self._crews[engine.snapshot] = stack
        crew.hold(engine)
        note(f"{self._home}: snapshot {engine.snapshot}, {engine.gallery.snapshot.rows} rows in {self._shards} shards")
        for old in list(self._crews)[:-2]:
            self._crews.pop(old).close()

    def follow(self) -> None:
        """Hold the current snapshot, if it is another one by now."""
        from ..indexer.snapshot import current_id
        from ..retrieval.engine import Engine

        now = current_id(self._home)
        if now is not None and now not in self._crews:
            self.begin(Engine.open(self._home, snapshot=now))


@app.command(epilog="Example: retr cluster status --cluster auto")
def status(
    cluster: Annotated[str, typer.Option("--cluster", metavar="ADDRESS", help="A cluster of Ray: auto or HOST:PORT.")],
    token_file: ClusterToken = None,
    form: FormatOption = "table",
) -> None:
    """List the shards that a cluster holds, where they are, and whether they answer."""
    from ..cluster.crew import states
    from ..cluster.session import connected
    from ..reports.cluster_table import print_shards

    if cluster == LOCAL:
        raise UsageError("--cluster local begins a cluster of its own, which holds nothing; name one that is there")
    with connected(cluster, token=Cluster(cluster, token_file=token_file).token):
        found = states()
    say_all(({"schema": "retr.cluster-shard/1", **one} for one in found), form, print_shards)
