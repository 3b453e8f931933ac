"""``retr cluster``: an index held by several machines; and what other commands need to ask them."""

from __future__ import annotations

import secrets
import shlex
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import UsageError
from .options import FormatOption, IndexPlace, index_path
from .output import note, say_all

if TYPE_CHECKING:
    from ..cluster.crew import Crew
    from ..indexer.errand import Sent
    from ..retrieval.engine import Engine

app = typer.Typer(no_args_is_help=True, help="Hold an index in the memory of several machines, arranged by Ray.")
LOCAL = "local"
"""``cluster.session.LOCAL``, which is imported late; a test compares them."""

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


@dataclass(frozen=True)
class Asked:
    """A cluster, as the options name it.

    Attributes:
        address: None for none.
        shards, deadline: None for the usual.
    """

    address: str | None
    shards: int | None = None
    deadline: float | None = None
    allow_partial: bool = False
    token_file: Path | None = None

    def __post_init__(self) -> None:
        if self.deadline is not None and not self.deadline > 0:
            raise UsageError(f"--deadline is a number of seconds above 0, got {self.deadline:g}")
        if self.shards is not None and self.shards < 1:
            raise UsageError(f"--shards must be at least 1, got {self.shards}")
        if self.address is None:
            given = {
                "--shards": self.shards,
                "--deadline": self.deadline,
                "--allow-partial": self.allow_partial or None,
            }
            wrong = [name for name, value in given.items() if value is not None]
            if wrong:
                raise UsageError(f"only --cluster takes {', '.join(wrong)}")

    def refuse_token(self) -> None:
        """Where no cluster is named, nothing asks for a secret."""
        if self.token_file is not None:
            raise UsageError(f"only --cluster takes --token-file, got {self.token_file}")

    @property
    def token(self) -> str | None:
        """The secret, where a file was named."""
        from ..core.tokens import read_token

        return None if self.token_file is None else read_token(self.token_file)


@contextmanager
def spread(engine: Engine, asked: Asked) -> Iterator[Engine]:
    """The engine, answered by the cluster while it is needed; as it is, where none was named."""
    if asked.address is None:
        yield engine
        return
    from ..cluster.crew import DEADLINE, found, hired
    from ..cluster.manifest import Manifest
    from ..cluster.session import connected

    ways: Mapping[str, Any] = {"deadline": asked.deadline or DEADLINE, "allow_partial": asked.allow_partial}
    with connected(asked.address, token=asked.token) as session, ExitStack() as stack:
        crew = None if asked.address == LOCAL else found(engine.gallery.snapshot.id, **ways)
        if crew is None:
            rows = engine.gallery.snapshot.rows
            manifest = Manifest.even(engine.snapshot, rows, asked.shards or session.cpus)
            crew = stack.enter_context(hired(engine.path, manifest, **ways))
            crew.hold(engine)
        elif asked.shards not in (None, crew.manifest.shards):
            raise UsageError(f"the cluster holds this index in {crew.manifest.shards} shards, and not {asked.shards}")
        yield crew.spread(engine)


@contextmanager
def indexing(asked: Asked) -> Iterator[Sent | None]:
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
    asked = Asked(cluster, shards, token_file=token_file)
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
    with connected(cluster, token=Asked(cluster, token_file=token_file).token):
        found = states()
    say_all(({"schema": "retr.cluster-shard/1", **one} for one in found), form, print_shards)
