"""retr query --proof, retr verify-proof and retr explain, from one to the other."""

from __future__ import annotations

import json
import re

import pytest
from command_line import one_line
from proved import resealed

pytest.importorskip("cryptography")


@pytest.fixture
def proofs(retr, corpus, index, tmp_path):
    done = retr("query", corpus / "03.png", "-i", index, "-k", 2, "--proof", tmp_path / "proofs", "--format", "json")
    assert done.code == 0
    assert done.only["certificate"] is not None
    files = sorted((tmp_path / "proofs").iterdir())
    assert f"{len(files)} proofs in" in done.err
    return files


def test_what_is_written_is_confirmed_and_what_is_edited_is_refuted(retr, index, proofs, tmp_path):
    done = retr("verify-proof", tmp_path / "proofs", "-i", index, "--format", "json")
    assert done.code == 0
    assert [record["verdict"] for record in done.json] == ["confirmed"] * len(proofs)
    said = json.loads(proofs[0].read_bytes())
    said["predicate"]["claim"]["radius"]["l2"] *= 1.1
    for edited, why in ((said, "digest of the proof"), (resealed(said), "the radius is at most ")):
        proofs[0].write_text(json.dumps(edited))
        done = retr("verify-proof", *proofs, "-i", index)
        assert done.code == 5
        assert done.lines[0].startswith(f"{proofs[0]}: refuted: ")
        assert why in done.lines[0]
    assert done.lines[1] == f"{proofs[1]}: confirmed"
    assert done.err == "retr: a proof is refuted\n"


def test_one_that_cannot_be_checked_ends_with_3(retr, proofs, tmp_path):
    done = retr("verify-proof", proofs[0], "-i", tmp_path)
    assert (done.code, "unsupported" in done.lines[0]) == (3, True)
    one_line(retr("verify-proof", tmp_path / "none.json", "-i", tmp_path), 2)


def test_explain_says_it_in_sentences_and_on_a_page(retr, corpus, index, proofs, tmp_path):
    (file,) = [one for one in proofs if "first-place" in one.name]
    done = retr("explain", file, "-i", index, "--html", tmp_path / "page.html")
    assert done.code == 0
    assert re.match(r"The claim: the picture .*03\.png is the first match, for the query as it is", done.lines[0])
    assert done.lines[-1] == "Checked now: confirmed."
    asked = ("query", corpus / "03.png", "-i", index, "-k", 1, "--where", "path~*.png", "--format", "json")
    assert retr(*asked, "--proof", tmp_path / "some").code == 0
    (some,) = (tmp_path / "some").glob("*first-place*")
    assert ', among the rows where "path~*.png".' in retr("explain", some).lines[0]
    page = (tmp_path / "page.html").read_text()
    assert page.count('<img src="data:image/webp') == 2
    assert "Checked now: confirmed" in page
    assert "not checked" in retr("explain", file, "--html", tmp_path / "page.html").out.decode().lower() or (
        "Not checked on this page." in (tmp_path / "page.html").read_text()
    )
    one_line(retr("explain", tmp_path / "absent.json"), 2)
    file.write_text("{}")
    assert "no proof" in one_line(retr("explain", file), 2)


def test_signatures(retr, corpus, index, tmp_path):
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    for name in ("own", "other"):
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pem").write_bytes(private)
        (tmp_path / f"{name}-public.pem").write_bytes(public)
    folder, asked = tmp_path / "proofs", ("query", corpus / "03.png", "-i", index, "-k", 1, "--format", "jsonl")
    assert retr(*asked, "--proof", folder, "--sign-key", tmp_path / "own.pem").code == 0
    good = retr("verify-proof", folder, "-i", index, "--public-key", tmp_path / "own-public.pem", "--format", "json")
    assert {(record["verdict"], record["signed"]) for record in good.json} == {("confirmed", True)}
    bad = retr("verify-proof", folder, "-i", index, "--public-key", tmp_path / "other-public.pem")
    assert (bad.code, "was not signed by the owner" in bad.lines[0]) == (5, True)
    next(folder.glob("*.sig")).unlink()
    missing = retr("verify-proof", folder, "-i", index, "--public-key", tmp_path / "own-public.pem")
    assert (missing.code, "is not signed" in missing.out.decode()) == (5, True)
    assert "PEM" in one_line(retr(*asked, "--proof", folder, "--sign-key", corpus / "03.png"), 2)
    assert "--proof" in one_line(retr(*asked, "--sign-key", tmp_path / "own.pem"), 2)
