"""What is remembered between runs is believed only where nobody else could have written it."""

from __future__ import annotations

import os

import pytest

from retr.core.cache import keep_for_us, only_ours


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("umask", [0o002, 0o000, 0o077])
def test_what_is_kept_is_ours_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        file = tmp_path / "retr" / "proofs" / "one.json"
        keep_for_us(file, b"{}")
    finally:
        os.umask(before)
    assert only_ours(file)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_what_others_could_have_written_is_not_ours(tmp_path):
    file = tmp_path / "content" / "one.json"
    keep_for_us(file, b"{}")
    file.chmod(0o620)
    assert not only_ours(file)
    file.chmod(0o600)
    file.parent.chmod(0o777)
    assert not only_ours(file)
    assert not only_ours(file.with_name("none"))


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        keep_for_us(tmp_path / "one.json", b"{}")
    assert list(tmp_path.iterdir()) == []
