"""Progress shows names that it did not choose, and is seen without a terminal."""

import io
import time

import pytest
from rich.console import Console

from retr.core.progress import Silent, begin, say
from retr.reports.progress import ProgressBar


def test_a_name_is_no_markup_no_emoji_and_not_obeyed():
    bar, out = ProgressBar("[b]:dog:\x1b", "attacks"), io.StringIO()
    bar.bar.live.console, bar.bar.disable = Console(file=io.StringIO(), width=120), True
    with bar:
        Console(file=out, width=160).print(bar.bar.get_renderable())
        bar.doing("pgd on [/red]:cat:\x1b[31m.png, 3 alarms")
        Console(file=out, width=160).print(bar.bar.get_renderable())
    assert r"[b]:dog:\x1b" in out.getvalue()
    assert r"pgd on [/red]:cat:\x1b[31m.png, 3 alarms" in out.getvalue()


def test_without_a_terminal_there_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]):
    began = time.monotonic()
    with ProgressBar("attacking", "attacks", every=0.05) as bar:
        begin(bar, "apgd-l2 at 1 rmse\x1b, 1 alarm", total=40, done=10)
        bar.advance(2)
        time.sleep(0.3)
    most = (time.monotonic() - began) / 0.05  # a loaded machine sleeps longer than it is asked to
    time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= most
    assert lines[-1].startswith(r"retr: apgd-l2 at 1 rmse\x1b, 1 alarm: 12 of 40 attacks, ")


def test_a_stretch_of_unknown_length_has_no_total(capsys: pytest.CaptureFixture[str]):
    with ProgressBar("copies", "images", every=0.05) as bar:
        begin(bar, "indexing", total=40)
        begin(bar, "reading negatives", total=0)
        time.sleep(0.2)
    assert "retr: reading negatives: 0 images, 0.0 images/s" in capsys.readouterr().err.splitlines()


def test_one_large_batch_has_a_rate_too(capsys: pytest.CaptureFixture[str]):
    """Of a single step, however long ago."""
    with ProgressBar("queries", "images", every=0.05) as bar:
        begin(bar, "queries", total=10_000_000, done=9_000_000)
        time.sleep(0.02)
        bar.advance(500_000)
        time.sleep(0.2)
    line = capsys.readouterr().err.splitlines()[-1]
    rate = float(line.split(", ")[1].removesuffix(" images/s"))
    assert 500_000 / 60 < rate <= 500_000 / 0.1  # the last line is older than the end
    assert line.endswith("about 1 min left")


def test_what_ends_within_a_minute_says_nothing(capsys: pytest.CaptureFixture[str]):
    with ProgressBar("indexing", "images") as bar:
        bar.start(0)
        bar.advance(5)
    assert capsys.readouterr().err == ""


def test_who_does_not_listen_is_not_told():
    say(Silent(), "anything")
