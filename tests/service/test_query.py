"""Answers over HTTP are those of the command line, and name no path."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from asking import files
from PIL import Image

import retr
from retr.reports.query_records import answer_record
from retr.service.examples import ANSWER


def plain(record: dict) -> dict:
    return {key: value for key, value in record.items() if key not in ("seconds", "query")}


class TestAnswers:
    def test_a_record_is_that_of_the_engine_but_for_paths(self, serve, drawn: Path, image: bytes) -> None:
        told = {"certify": "true", "k": "3", "explain": "true"}
        answer = serve(serve_images=True).post("/v1/query", files=files(image), data=told)
        assert answer.status_code == 200
        index = retr.open(drawn / "my-index")
        expected = answer_record(index.query(image, k=3, eps=1.0, certify=True, explain=True), "0.png")
        text = json.dumps(expected).replace(f"{drawn / 'corpus'}/", "")
        assert [plain(record) for record in answer.json()] == [plain(json.loads(text))]

    def test_several_images_have_a_record_each_in_order(self, serve, drawn: Path, image: bytes) -> None:
        absent = next((drawn / "absent").glob("*.png")).read_bytes()
        records = serve().post("/v1/query", files=files(image, b"no image", absent)).json()
        assert [record["verdict"] for record in records] == ["copy", None, "not-a-copy"]
        assert [record["error"] for record in records] == [None, "not-an-image", None]

    def test_the_example_of_the_document_has_the_keys_of_an_answer(self, serve, image: bytes) -> None:
        told = {"certify": "true", "k": "1"}
        [record] = serve().post("/v1/query", files=files(image), data=told).json()
        [example] = ANSWER[200]["content"]["application/json"]["example"]
        assert example.keys() == record.keys()
        assert example["matches"][0].keys() == record["matches"][0].keys()
        assert example["thresholds"][0].keys() <= record["thresholds"][0].keys()
        assert example["certificate"].keys() <= record["certificate"].keys()

    def test_a_blank_image_is_found_and_nothing_is_explained_of_it(self, serve, own: Path) -> None:
        sink = io.BytesIO()
        Image.new("RGB", (56, 40)).save(sink, "PNG")
        client = serve(own, writable=True)
        assert client.post("/v1/items", files=files(sink.getvalue())).status_code == 201
        answer = client.post("/v1/query", files=files(sink.getvalue()), data={"explain": "true"})
        assert answer.status_code == 200
        [record] = answer.json()
        assert record["verdict"] == "copy"
        assert "explained" not in record["matches"][0]

    def test_edits_with_proof(self, serve, image: bytes) -> None:
        [record] = serve().post("/v1/query", files=files(image), data={"against": "brightness:0.99..1.01"}).json()
        assert record["against"]["families"][0]["verdict"]["whole"]

    def test_only_a_part_of_the_index(self, serve, image: bytes) -> None:
        [record] = serve().post("/v1/query", files=files(image), data={"where": "path~*003*"}).json()
        assert (len(record["matches"]), record["verdict"], record["where"]) == (1, "not-a-copy", ["path~*003*"])

    @pytest.mark.parametrize("pictures", [True, False])
    def test_no_path_leaves_the_server(self, serve, drawn: Path, image: bytes, pictures: bool) -> None:
        client = serve(serve_images=pictures)
        told = {"certify": "true", "explain": "true", "against": "brightness:0.9..1.1", "eps": "2"}
        answers = [
            client.post("/v1/query", files=files(image), data=told),
            client.post("/v1/query", files=files(image), data={"where": "bad"}),
            client.post("/v1/query", files=files(image), data={"against": "nonsense"}),
            client.get("/v1/index"),
            client.get("/readyz"),
            client.get("/metrics"),
        ]
        first = answers[0].json()[0]["matches"][0]
        assert client.get(f"/v1/items/{first['id']}").status_code == 200
        answers.append(client.get(f"/v1/items/{first['id']}"))
        for answer in answers:
            assert str(drawn) not in answer.text
            assert str(drawn.parent) not in answer.text
        assert first["path"] == ("007.png" if pictures else first["id"])


class TestCompanions:
    """What only a companion finds is told apart, in every form that an answer takes."""

    def test_answers_are_those_of_the_library_with_their_tiers(
        self, serve, with_companion: Path, flipped: Path
    ) -> None:
        client, data = serve(with_companion, serve_images=True), flipped.read_bytes()
        index = retr.open(with_companion)
        assert client.get("/v1/index").json()["indexes"]["two-tiers"]["companion"] == index.companion == "colours"
        for said, asked in (({}, index), ({"certified_only": "true"}, index.certified())):
            [record] = client.post("/v1/query", files=files(data), data={"certify": "true", "k": "3", **said}).json()
            expected = asked.query(data, k=3, certify=True, eps=1.0).as_json()
            assert [record[key] for key in ("verdict", "companion", "verdict_because", "withheld")] == [
                expected[key] for key in ("verdict", "companion", "verdict_because", "withheld")
            ]
            tiers = [(match["id"], match["tier"], match["proved"], match["copy"]) for match in record["matches"]]
            assert tiers == [(one["id"], one["tier"], one["proved"], one["copy"]) for one in expected["matches"]]
        assert index.query(data, k=1, certify=True).matches[0].tier == "companion"

    def test_edits_are_proved_of_the_certified_channels(self, serve, with_companion: Path, image: bytes) -> None:
        client, asked = serve(with_companion), {"against": "brightness:0.99..1.01"}
        refused = client.post("/v1/query", files=files(image), data=asked)
        assert refused.status_code == 422
        assert refused.json()["detail"].endswith("ask without it, with certified_only=True")
        [record] = client.post("/v1/query", files=files(image), data={**asked, "certified_only": "true"}).json()
        assert record["against"]["families"][0]["verdict"]["whole"]

    def test_proofs_beside_a_companion_are_checked(self, serve, with_companion: Path, image: bytes) -> None:
        client = serve(with_companion, serve_proofs=True)
        for said, claims in (({}, {"copy"}), ({"certified_only": "true"}, {"copy", "first-place", "among-k"})):
            proofs = client.post("/v1/prove", files=files(image), data={"k": "2", **said}).json()
            assert claims <= {one["predicate"]["claim"]["kind"] for one in proofs}
            sent = [("proof", ("p.json", json.dumps(proofs[0]).encode())), *files(image)]
            assert client.post("/v1/verify-proof", files=sent).json() == {"verdict": "confirmed", "why": None}

    def test_lookups_by_signal_are_those_of_the_certified_channels(
        self, serve, with_companion: Path, flipped: Path, image: bytes
    ) -> None:
        client = serve(with_companion)
        for data, banks in ((image, ["two-tiers"]), (flipped.read_bytes(), [])):
            signal = client.post("/h/hash", files=files(data, field="photo")).json()["retr"]
            by_signal = client.get("/m/lookup", params={"signal": signal, "signal_type": "retr"})
            assert by_signal.json() == banks
            assert client.post("/m/lookup", files=files(data, field="photo")).json() == {"retr": banks}


class TestNoise:
    def test_noise_at_the_radius_stays_inside_it_and_keeps_the_verdict(self, serve, image: bytes) -> None:
        found = serve().post("/v1/noise", files=files(image)).json()
        clean = np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).astype(int)
        assert [one["direction"] for one in found["noisy"]] == ["random", "steepest"]
        for one in found["noisy"]:
            noisy = np.asarray(Image.open(io.BytesIO(base64.b64decode(one["png"])))).astype(int)
            far = math.sqrt(((noisy - clean) ** 2).sum()) / 255
            assert 0.9 * found["radius"]["l2"] < far <= found["radius"]["l2"]
            assert far <= one["moved"]["l2"]
            assert one["verdict"] == "copy"


class TestProofs:
    def test_a_proof_is_given_and_checked(self, serve, image: bytes, drawn: Path) -> None:
        client = serve(serve_proofs=True)
        [proof, *_] = client.post("/v1/prove", files=files(image), data={"k": "1"}).json()
        sent = [("proof", ("p.json", json.dumps(proof).encode())), *files(image)]
        assert client.post("/v1/verify-proof", files=sent).json() == {"verdict": "confirmed", "why": None}
        proof["predicate"]["claim"]["radius"]["l2"] *= 1.01
        other = [("proof", ("p.json", json.dumps(proof).encode())), *files(image)]
        told = client.post("/v1/verify-proof", files=other)
        assert told.json()["verdict"] != "confirmed"
        assert str(drawn) not in told.text

    def test_none_unless_they_are_served(self, serve, image: bytes) -> None:
        assert serve().post("/v1/prove", files=files(image)).status_code == 403


class TestPictures:
    def test_only_where_they_are_served(self, serve, image: bytes) -> None:
        client = serve()
        name = client.post("/v1/query", files=files(image)).json()[0]["matches"][0]["id"]
        assert client.get(f"/v1/items/{name}/thumbnail").status_code == 403
        shown = serve(serve_images=True).get(f"/v1/items/{name}/thumbnail?side=64")
        assert shown.headers["content-type"] == "image/webp"
        assert max(Image.open(io.BytesIO(shown.content)).size) == 64
