"""retr inside the tools that moderators run: the package's own code on our signals, and the page that shows how."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from asking import files
from running import Running, run

import retr
from retr.api.signals import signal_of, usual
from retr.service.settings import Settings

ROOT = Path(retr.__file__).parent
PAGE = (ROOT / "docs" / "integrations.md").read_text()
BLOCKS = re.findall(r"^```(python|bash)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
NEEDED = importlib.util.find_spec("weighted_levenshtein") is not None
needs_package = pytest.mark.skipif(not NEEDED, reason="threatexchange needs a C compiler where it is installed")


@pytest.fixture(scope="module")
def home(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn folder with an index of the two usual models."""
    folder = tmp_path_factory.mktemp("integrations") / "home"
    shutil.copytree(drawn, folder, ignore=shutil.ignore_patterns("my-index"))
    retr.build(folder / "corpus", folder / "my-index", workers=1)
    shutil.copytree(folder / "my-index", folder / "kept-index")
    return folder


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[Running]:
    found = run(Settings({"my-index": home / "my-index"}, writable=True, serve_images=True, decoders=1))
    yield found
    found.stop()


@pytest.mark.docs
@needs_package
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_what_the_page_shows_runs(number: int, home: Path, service: Running, tmp_path: Path) -> None:
    kind, text = BLOCKS[number]
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": tools, "HOME": str(tmp_path), "RETR_CACHE": "off"}
    text = text.replace("http://127.0.0.1:8000", service.url)
    words = ["bash", "-euo", "pipefail", "-c", text] if kind == "bash" else [sys.executable, "-c", text]
    done = subprocess.run(words, cwd=home, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    if "match photo" in text:
        assert re.search(r"^retr 0\.00\d+ \(mine\)", done.stdout, re.MULTILINE), done.stdout


def test_the_page_has_examples_of_all() -> None:
    assert [kind for kind, _ in BLOCKS] == ["python", "bash", "bash", "python", "bash"]


class TestSignals:
    def test_a_signal_is_the_same_from_the_index_and_from_the_models(self, home: Path) -> None:
        signal = signal_of(retr.open(home / "my-index"), home / "img.png")
        ours, theirs = (usual()._layout.read(one) for one in (usual().signal(home / "img.png"), signal))
        for one, other in zip(ours, theirs, strict=True):
            assert np.allclose(one, other, rtol=0, atol=1e-5)

    def test_a_bank_gives_the_verdicts_of_an_index_of_the_same_pictures(self, home: Path) -> None:
        index = retr.open(home / "kept-index")
        stored = sorted((home / "corpus").iterdir())
        bank = usual().bank([usual().signal(path) for path in stored])
        asked = [home / "img.png", *sorted((home / "queries").iterdir()), *sorted((home / "absent").iterdir())]
        for path in asked:
            near = {stored[one.number].name for one in usual().near(bank, usual().signal(path))}
            accepted = {Path(m.path).name for m in index.query(path, k=12).matches if m.accepted}
            assert near == accepted, path

    @pytest.mark.parametrize(
        "bad", ["", "retr1", "retr1:x:y", "pdq:00", "retr1:a1df6597b7864be9:AAAA", "retr1:a1df6597b7864be9:****"]
    )
    def test_what_is_no_signal(self, bad: str, service: Running) -> None:
        with pytest.raises(ValueError, match="signal"):
            usual().check(bad)
        told = httpx2.get(f"{service.url}/m/raw_lookup", params={"signal": bad, "signal_type": "retr"})
        assert told.status_code in (400, 422)
        assert httpx2.post(f"{service.url}/m/compare", json={"retr": [bad, bad]}, timeout=60).status_code == 400


class TestHma:
    def test_lookups_are_those_of_the_index(self, home: Path, service: Running) -> None:
        image = (home / "img.png").read_bytes()
        signal = httpx2.post(f"{service.url}/h/hash", files=files(image, field="photo")).json()["retr"]
        asked = {"signal": signal, "signal_type": "retr"}
        [number, *_] = httpx2.get(f"{service.url}/m/raw_lookup", params=asked).json()["matches"]
        first = retr.open(home / "kept-index").query(image, k=1).matches[0]
        assert number == int(first.id[:13], 16)
        assert httpx2.get(f"{service.url}/m/lookup", params=asked).json() == ["my-index"]
        told = httpx2.post(f"{service.url}/m/lookup", files=files(image, field="photo"))
        assert told.json() == {"retr": ["my-index"]}

    def test_no_url_is_fetched(self, service: Running) -> None:
        for path in ("/h/hash?url=http://127.0.0.1/", "/m/lookup?url=http://127.0.0.1/"):
            assert httpx2.get(service.url + path).json()["error"] == "no-urls"
        assert httpx2.get(f"{service.url}/m/index/status?signal_type=pdq").status_code == 400


@needs_package
class TestPackage:
    def test_its_own_interfaces_take_ours(self, home: Path) -> None:
        from threatexchange.content_type.photo import PhotoContent
        from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest
        from threatexchange.interface_validation import SignalTypeMapping
        from threatexchange.signal_type.pdq.signal import PdqSignal

        manifest = ThreatExchangeExtensionManifest.load_from_module_name("retr.api.threatexchange")
        mapping = SignalTypeMapping([PhotoContent], [PdqSignal, *manifest.signal_types])
        [_, ours] = mapping.get_supported_signal_types_for_content(PhotoContent)
        index_cls = ours.get_index_cls()
        examples = ours.get_examples()
        index = index_cls.build([(signal, number) for number, signal in enumerate(examples)])
        index.add(examples[0], 2)
        kept = io.BytesIO()
        index.serialize(kept)
        kept.seek(0)
        again = index_cls.deserialize(kept)
        assert sorted(match.metadata for match in again.query(examples[0])) == [0, 2]
        assert [match.metadata for match in again.query(examples[1])] == [1]
        assert index_cls.build([]).query(examples[0]) == []
        with pytest.raises(ValueError, match="signal"):
            index.add("nonsense", 3)

    def test_what_is_no_image_has_no_signal(self) -> None:
        from retr.api.threatexchange import RetrSignal

        assert RetrSignal.hash_from_bytes(b"no image") == ""
