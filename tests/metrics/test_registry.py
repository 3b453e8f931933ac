"""What there is, what runs now, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retr.core.errors import ModelError, UsageError
from retr.metrics import packages
from retr.metrics.registry import METRICS, list_metrics, load_metric
from retr.reports.metrics_table import print_metrics


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No weights on this machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def row(name: str) -> dict[str, object]:
    return next(row for row in list_metrics() if row["name"] == name)


class TestListing:
    def test_every_metric_has_a_line_that_json_can_hold(self) -> None:
        rows = list_metrics()
        assert [r["name"] for r in rows] == list(METRICS)
        assert json.loads(json.dumps(rows, allow_nan=False)) == rows

    def test_what_needs_nothing_runs(self, nothing_kept: Path) -> None:
        for name in ("l2", "ssim", "ms-ssim", "cw-ssim"):
            assert (row(name)["runs"], row(name)["needs"]) == (True, None)
            assert load_metric(name).name == name

    @pytest.mark.parametrize(
        ("name", "package", "extra"),
        [
            ("fsimc", "piq", "metrics"),
            ("pieapp", "piq", "metrics"),
            ("lpips-vgg", "lpips", "metrics"),
            ("r-lpips", "lpips", "metrics"),
            ("e-lpips", "lpips", "metrics"),
            ("dists", "DISTS_pytorch", "metrics"),
            ("clip", "open_clip", "open_clip"),
            ("dreamsim", "dreamsim", "dreamsim"),
        ],
    )
    def test_an_absent_package_is_named_with_its_extra(
        self, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
    ) -> None:
        monkeypatch.setattr(packages, "find_spec", lambda module: None if module == package else object())
        assert row(name)["needs"] == f"the package {package}: pip install 'retr[{extra}]'"
        assert row(name)["runs"] is False

    def test_weights_that_are_not_kept_are_named_with_their_place(
        self, monkeypatch: pytest.MonkeyPatch, nothing_kept: Path
    ) -> None:
        monkeypatch.setattr(packages, "find_spec", lambda module: object())
        checkpoints = str(nothing_kept / "torch" / "hub" / "checkpoints")
        for name, file in (("lpips-alex", "alexnet-owt"), ("a-dists", "vgg16"), ("pieapp", "PieAPPv0.1.pth")):
            needs = str(row(name)["needs"])
            assert needs.startswith(file)
            assert checkpoints in needs
        assert str(nothing_kept / "hub" / "models--timm--vit_base_patch16_224.dino") in str(row("dino")["needs"])
        assert str(nothing_kept / "torch" / "hub" / "dreamsim") in str(row("dreamsim")["needs"])

    def test_kept_weights_make_it_run(self, monkeypatch: pytest.MonkeyPatch, nothing_kept: Path) -> None:
        monkeypatch.setattr(packages, "find_spec", lambda module: object())
        for path in (
            nothing_kept / "torch" / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth",
            nothing_kept / "hub" / "models--timm--vit_base_patch16_224.dino" / "snapshots" / "1" / "model.safetensors",
        ):
            path.parent.mkdir(parents=True)
            path.touch()
        assert row("lpips-alex")["runs"]
        assert row("dino")["runs"]
        assert not row("dinov2")["runs"]

    @pytest.mark.parametrize("name", ["r-lpips", "watson-dft", "wadiqam-fr", "swiniqa"])
    def test_a_file_of_one_s_own_is_asked_for(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setattr(packages, "find_spec", lambda module: object())
        assert row(name)["needs"] == "a file of weights, named after the colon"
        assert str(row(name)["form"]).startswith(f"{name}:FILE")


class TestWords:
    def test_an_unknown_name_gets_close_ones(self) -> None:
        with pytest.raises(UsageError, match=r"unknown metric 'lpips-alexnet'; choose .*lpips-alex"):
            load_metric("lpips-alexnet")
        with pytest.raises(UsageError, match=r"choose l2, ssim"):
            load_metric("???")

    def test_what_takes_nothing_says_so(self) -> None:
        with pytest.raises(UsageError, match="ssim takes nothing after its name, got 'x'"):
            load_metric("ssim:x")

    def test_an_absent_package_is_named_on_loading_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "piq", None)
        with pytest.raises(ModelError, match=r"fsimc needs the extra: pip install 'retr\[metrics\]'"):
            load_metric("fsimc")


@pytest.mark.parametrize("columns", ["80", "160"])
def test_the_table_shows_what_runs_and_says_once_what_is_missing(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, nothing_kept: Path
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda module: object())
    monkeypatch.setenv("COLUMNS", columns)
    print_metrics(list_metrics())
    table, _, notes = capsys.readouterr().out.partition("\n(1) ")
    lines = {words[1]: words for words in (line.split() for line in table.splitlines()) if len(words) > 3}
    assert {row["form"].split()[0] for row in list_metrics()} <= set(lines)
    assert lines["l2"][3] == "yes"
    assert lines["lpips-vgg"][3] == "no"
    assert lines["dists"][-2] == lines["lpips-vgg"][-2]
    assert notes.count("vgg16-397923af.pth") == 1
    assert "pip install" not in notes.splitlines()[0]
