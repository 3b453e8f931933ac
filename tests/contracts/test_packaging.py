"""What is installed is what stands in the tree, at the versions written down, under the import contract."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import retr
from retr.core.version import VERSION

ROOT = Path(retr.__file__).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_PACKAGES = {"tests", "docs", "build", "dist"}


def lines_of(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.lstrip().startswith("#")]


def package_folders() -> set[str]:
    """Dotted names of every folder of the tree that holds an ``__init__.py``."""
    found = (path.parent.relative_to(ROOT).parts for room in rooms() for path in room.rglob("__init__.py"))
    return {"retr", *(".".join(("retr", *parts)) for parts in found)}


def rooms() -> list[Path]:
    """Folders of the root that may hold code of the package; a virtual environment is never walked through."""
    folders = (path for path in ROOT.iterdir() if path.is_dir())
    return [path for path in folders if not path.name.startswith(".") and path.name not in NOT_PACKAGES]


def pins() -> dict[str, list[Requirement]]:
    """The constraints by project: one line each, or one line per Python version or platform."""
    table: dict[str, list[Requirement]] = {}
    for line in lines_of(ROOT / "constraints.txt"):
        requirement = Requirement(line)
        table.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return table


def declared() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for group in (project["dependencies"], *extras) for text in group]


class TestTree:
    def test_every_package_of_the_tree_is_declared_and_no_other(self) -> None:
        assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == package_folders()

    def test_every_folder_with_code_is_a_package(self) -> None:
        folders = {path.parent for room in rooms() for path in room.rglob("*.py")}
        assert len(folders) > 10
        assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []

    def test_tests_are_no_package(self) -> None:
        assert list((ROOT / "tests").rglob("__init__.py")) == []

    def test_the_link_for_type_checkers_leads_to_the_root(self) -> None:
        link = ROOT / ".link" / "retr"
        assert link.is_symlink()
        assert os.readlink(link) == ".."
        assert link.resolve() == ROOT

    def test_the_package_says_that_it_is_typed(self) -> None:
        assert PYPROJECT["tool"]["setuptools"]["package-data"]["retr"] == ["py.typed"]
        assert (ROOT / "py.typed").is_file()

    def test_one_version(self) -> None:
        assert retr.__version__ == VERSION == PYPROJECT["project"]["version"]
        assert f"## [{retr.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


class TestConstraints:
    def test_no_addresses(self) -> None:
        text = (ROOT / "constraints.txt").read_text()
        assert re.findall(r"(?i)https?:|file:|git\+|-url|--|find-links|\s@\s", text) == []

    def test_every_line_is_one_exact_version(self) -> None:
        loose = [str(r) for rs in pins().values() for r in rs if [s.operator for s in r.specifier] != ["=="]]
        assert loose == []

    @pytest.mark.parametrize("requirement", declared(), ids=str)
    def test_every_dependency_is_pinned_within_its_range(self, requirement: Requirement) -> None:
        chosen = pins().get(canonicalize_name(requirement.name), [])
        assert chosen, f"{requirement.name} has no line in constraints.txt; run: make constraints"
        for pin in chosen:
            version = Version(next(iter(pin.specifier)).version)
            assert requirement.specifier.contains(version)

    def test_every_extra_of_the_plan_exists(self) -> None:
        assert {"gpu", "heif", "dev"} <= set(PYPROJECT["project"]["optional-dependencies"])

    @pytest.mark.parametrize(
        "requirement", [*map(Requirement, PYPROJECT["project"]["optional-dependencies"]["dev"])], ids=str
    )
    def test_what_tests_would_skip_without_is_installed(self, requirement: Requirement) -> None:
        if requirement.name == "pdqhash" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
            pytest.skip("pdqhash is compiled where it is installed, and there is no C++ compiler")
        assert requirement.specifier.contains(version(requirement.name))


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    """The declared rooms, all empty, under the project's own import contract."""
    text = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text[text.index("[tool.importlinter]") :])
    for name in (*PYPROJECT["tool"]["setuptools"]["packages"], "retr.cli", "retr.__main__"):
        room = tmp_path.joinpath(*name.split("."))
        room.mkdir(parents=True, exist_ok=True)
        (room / "__init__.py").write_text("")
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).parent / "lint-imports"
    return subprocess.run([tool, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=60)


class TestImportContract:
    def test_the_plan_alone_is_kept(self, twin: Path) -> None:
        assert lint_imports(twin).returncode == 0

    @pytest.mark.parametrize(
        ("room", "line"),
        [
            ("core", "from .. import images"),
            ("attacks", "from .. import certificates"),
            ("indexer", "from ..retrieval import __doc__"),
            ("images", "from .. import embedding"),
        ],
    )
    def test_an_import_up_or_sideways_breaks_it(self, twin: Path, room: str, line: str) -> None:
        (twin / "retr" / room / "__init__.py").write_text(line + "\n")
        outcome = lint_imports(twin)
        assert outcome.returncode == 1
        assert "BROKEN" in outcome.stdout

    def test_a_room_that_is_not_declared_breaks_it(self, twin: Path) -> None:
        (twin / "retr" / "attic").mkdir()
        (twin / "retr" / "attic" / "__init__.py").write_text("")
        outcome = lint_imports(twin)
        assert outcome.returncode == 1
        assert "attic" in outcome.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution of this tree and the wheel that is built from it."""
    base = tmp_path_factory.mktemp("built")
    source, out = base / "source", base / "out"
    skipped = shutil.ignore_patterns("*.egg-info", "build", "dist", "__pycache__", "retr-index", ".[!c]*")
    shutil.copytree(ROOT, source, ignore=skipped)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def wheel_of(built: Path) -> zipfile.ZipFile:
    (wheel,) = built.glob("retr-*.whl")
    return zipfile.ZipFile(wheel)


class TestDistributions:
    def test_the_wheel_holds_the_package_its_licence_and_nothing_else(self, built: Path) -> None:
        names = set(wheel_of(built).namelist())
        modules = {name for name in names if ".dist-info/" not in name}
        folders = {"retr" + "".join(f"/{part}" for part in name.split(".")[1:]) for name in package_folders()}
        data = package_data()
        assert {"retr/py.typed", "retr/cli.py", "retr/__main__.py"} <= modules
        assert {name for name in data if name.endswith(".safetensors")}
        assert {name for name in modules if not name.endswith(".py")} == data
        assert {str(Path(name).parent) for name in modules - data} == folders
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)

    def test_the_source_distribution_holds_what_it_takes_to_read_build_and_test(self, built: Path) -> None:
        (archive,) = built.glob("retr-*.tar.gz")
        with tarfile.open(archive) as tar:
            members = [member for member in tar.getmembers() if member.isfile()]
        names = {member.name.partition("/")[2] for member in members}
        pages = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", "LICENSE"}
        assert {*pages, "Makefile", "constraints.txt", "pyproject.toml", ".ci/run", "cli.py"} <= names
        for folder in ("docs", "tests"):
            files = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
            assert {name for name in files if "__pycache__" not in name and not name.endswith(".pyc")} <= names
        packaged = {name.removeprefix("retr/") for name in wheel_of(built).namelist() if ".dist-info/" not in name}
        assert packaged <= names
        assert [
            name for name in names if name.startswith((".venv", ".link", "build/", "dist/")) or ".pyc" in name
        ] == []

    def test_both_pass_twine(self, built: Path) -> None:
        check = [sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted(built.iterdir()))]
        done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("PASSED") == 2

    def test_the_command_of_the_wheel_runs(self, built: Path, tmp_path: Path) -> None:
        """As unpacked: its own files, run by the function that the installed command calls."""
        wheel = wheel_of(built)
        wheel.extractall(tmp_path)
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
        target = dict(line.split(" = ") for line in (tmp_path / name).read_text().splitlines() if " = " in line)["retr"]
        module, _, function = target.partition(":")
        code = f"import sys, {module} as m; sys.argv = ['retr', '--version']; print(m.__file__); m.{function}()"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [str(tmp_path / "retr" / "cli.py"), f"retr {retr.__version__}"]


def package_data() -> set[str]:
    """Files of the wheel that are no code, by the patterns of pyproject.toml: each pattern finds at least one."""
    found: set[str] = set()
    for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        for pattern in patterns:
            files = {f"retr/{path.relative_to(ROOT).as_posix()}" for path in folder.glob(pattern)}
            assert files, f"{package}: {pattern} names nothing"
            found |= files
    return found
