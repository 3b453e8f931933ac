"""Every ``retr`` command that the documentation prints runs, and ends with the exit code it is said to end with.

In the documents, a block marked ``sh`` holds commands. Each line that has ``retr`` as a command is run, in order, in
one folder per document, which begins with what ``docs/examples/draw_corpus.py`` draws. A comment ``# exit code N`` at
the end of a command states its exit code; without it that is 0. The README's commands are processes of their own; those
of the longer documents are spared the seconds of their imports (support/warm_retr.py).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from warm_retr import warm_retr

import retr

ROOT = Path(retr.__file__).parent
README = "README.md"
DOCUMENTS = ("docs/guide.md", README, "docs/tour.md", "docs/proofs.md")
COLD = Path(sys.executable).parent
COUNT = 24
COMMAND = re.compile(r"(^|[|&;(]\s*)retr\s")
EXIT_CODE = re.compile(r"#\s*exit code (\d+)\s*$")


@dataclass(frozen=True)
class Command:
    line: str
    exit_code: int


def commands_of(text: str) -> list[Command]:
    """The commands of a document's ``sh`` blocks, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [Command(line, _exit_code(line)) for line in lines if COMMAND.search(line) and not line.startswith("#")]


def _exit_code(line: str) -> int:
    stated = EXIT_CODE.search(line)
    return int(stated[1]) if stated else 0


def run(command: Command, folder: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "RETR_INDEX"}
    environment = {**kept, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    shell = ["bash", "-o", "pipefail", "-c", command.line]
    return subprocess.run(
        shell, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )


def report(command: Command, outcome: subprocess.CompletedProcess[str]) -> str:
    said = f"ended with {outcome.returncode}, documented is {command.exit_code}"
    return f"$ {command.line}\n  {said}\n{outcome.stdout[-1500:]}{outcome.stderr[-1500:]}"


def test_commands_are_found_and_exit_codes_read() -> None:
    text = (
        "```sh\nmake demo\nretr a \\\n  b\nls | retr index -   # exit code 3\n# retr no\n```\n```text\nretr not\n```\n"
    )
    found = [(c.line.split()[0], c.exit_code) for c in commands_of(text)]
    assert found == [("retr", 0), ("ls", 3)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw = [sys.executable, str(ROOT / "docs" / "examples" / "draw_corpus.py"), str(folder), str(COUNT)]
    subprocess.run(draw, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def warm() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, warm_retr(Path(folder)) as tools:
        yield tools


@pytest.mark.docs
def test_a_warm_retr_answers_as_a_cold_one_does(warm: Path, tmp_path: Path) -> None:
    lines = ("retr query absent.png", "retr models list | head -c 9; exit 7")
    for line in lines:
        cold, quick = (run(Command(line, 0), tmp_path, tools) for tools in (COLD, warm))
        assert (quick.returncode, quick.stdout, quick.stderr) == (cold.returncode, cold.stdout, cold.stderr)


@pytest.mark.docs
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of(document: str, drawn: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    tools = COLD if document == README else request.getfixturevalue("warm")
    commands = commands_of((ROOT / document).read_text())
    assert commands, f"{document} holds no retr command in a block marked sh"
    folder = tmp_path / "here"
    shutil.copytree(drawn, folder)
    outcomes = [(command, run(command, folder, tools)) for command in commands]
    wrong = [report(c, o) for c, o in outcomes if o.returncode != c.exit_code or "Traceback" in o.stderr]
    assert not wrong, "\n\n".join(wrong)
