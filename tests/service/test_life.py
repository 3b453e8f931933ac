"""An index that changes while it is served, is damaged, or was never there."""

from __future__ import annotations

import json
import threading
import warnings
from pathlib import Path

import numpy as np
import torch
from asking import files, wait_until

import retr


class TestChanges:
    def test_added_in_one_snapshot_found_and_removed_again(self, serve, own: Path, image: bytes) -> None:
        client = serve(own, writable=True, serve_images=True)
        before = client.get("/v1/index").json()["indexes"]["own"]
        told = client.post("/v1/items", files=files(image, b"no image", image[:500]), data={"label": "bank=new"})
        added = told.json()
        assert (told.status_code, len(added["items"]), len(added["rejected"])) == (201, 1, 2)
        assert added["snapshot"] != before["snapshot"]
        [record] = client.post("/v1/query", files=files(image), data={"k": "1"}).json()
        name = added["items"][0]["id"]
        assert (record["matches"][0]["id"], record["snapshot"]) == (name, added["snapshot"])
        item = client.get(f"/v1/items/{name}").json()
        assert (item["name"], item["labels"]) == ("0.png", {"bank": "new"})
        assert client.get(f"/v1/items/{name}/thumbnail").status_code == 200
        assert client.post("/v1/items", files=files(b"no image")).status_code == 415
        assert client.delete(f"/v1/items/{name}").status_code == 200
        assert client.delete(f"/v1/items/{name}").status_code == 404
        assert client.get(f"/v1/items/{name}").status_code == 404
        assert list((own.parent / "own-uploads").iterdir()) == []

    def test_what_lies_in_a_negative_bank_is_shown_like_all_else(self, serve, own: Path, image: bytes) -> None:
        retr.open(own).set_rules(negative=["bank=allowed"])
        client = serve(own, writable=True, serve_images=True)
        [added] = client.post("/v1/items", files=files(image), data={"label": "bank=allowed"}).json()["items"]
        [record] = client.post("/v1/query", files=files(image), data={"certify": "true"}).json()
        [bank] = record["banks"]
        assert (record["silenced_by"], bank["id"]) == (["bank=allowed"], added["id"])
        assert client.get(f"/v1/items/{bank['id']}").json()["labels"] == {"bank": "allowed"}
        assert client.get(f"/v1/items/{bank['id']}/thumbnail").status_code == 200
        assert client.delete(f"/v1/items/{bank['id']}").status_code == 200
        assert client.get(f"/v1/items/{bank['id']}").status_code == 404

    def test_lookups_of_each_index(self, serve, own: Path, drawn: Path, image: bytes) -> None:
        """Two are served; a client of Hasher-Matcher-Actioner is given the address of one."""
        writer = retr.open(own)
        every = sorted((drawn / "corpus").iterdir())
        writer.remove(every)
        writer.add([drawn / "corpus" / "007.png"], labels={"bank": "known"})
        client = serve(own, indexes={"first": drawn / "my-index", "own": own})
        all_of_it = (len(every), "first")
        for base, (size, bank) in {"": all_of_it, "/indexes/first": all_of_it, "/indexes/own": (1, "known")}.items():
            told = client.post(f"{base}/m/lookup", files={"photo": image})
            assert told.json() == {"retr": [bank]}, base
            assert client.get(f"{base}/m/index/status").json()["retr"]["size"] == size
        assert client.get("/indexes/other/c/banks").status_code == 404
        paths = client.get("/openapi.json").json()["paths"]
        [named] = paths["/indexes/{index}/c/banks"]["get"]["parameters"]
        assert (named["name"], named["in"], named["required"]) == ("index", "path", True)

    def test_a_snapshot_of_another_process_is_picked_up(self, serve, own: Path, drawn: Path) -> None:
        client = serve(own)
        before = client.get("/v1/index").json()["indexes"]["own"]
        other = retr.open(own)
        other.remove(drawn / "corpus" / "007.png")
        wait_until(lambda: client.get("/v1/index").json()["indexes"]["own"]["snapshot"] == other.snapshot)
        assert client.get("/v1/index").json()["indexes"]["own"]["items"] == before["items"] - 1

    def test_each_request_sees_one_snapshot(self, serve, own: Path, drawn: Path, image: bytes) -> None:
        client = serve(own)
        answers, stop = [], threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answers.append(client.post("/v1/query", files=files(*[image] * 5), data={"k": "1"}).json())

        asker = threading.Thread(target=ask)
        asker.start()
        writer = retr.open(own)
        known = {writer.snapshot: writer.query(image, k=1).matches[0].id}
        for _ in range(2):
            writer.remove(drawn / "corpus" / "007.png")
            known[writer.snapshot] = writer.query(image, k=1).matches[0].id
            writer.add([drawn / "corpus" / "007.png"])
            known[writer.snapshot] = writer.query(image, k=1).matches[0].id
        stop.set()
        asker.join()
        assert len(answers) > 1
        for records in answers:
            assert len({record["snapshot"] for record in records}) == 1
            assert {record["matches"][0]["id"] for record in records} == {known[records[0]["snapshot"]]}


class TestHealth:
    def test_not_ready_until_it_is_loaded(self, serve, tmp_path: Path, image: bytes) -> None:
        (tmp_path / "empty").mkdir()
        client = serve(tmp_path / "empty", ready=False)
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert client.post("/v1/query", files=files(image)).status_code == 503
        assert str(tmp_path) not in client.get("/readyz").text

    def test_a_damaged_index_is_not_ready_and_the_last_good_one_answers(self, serve, own: Path, image: bytes) -> None:
        client = serve(own)
        (own / "CURRENT").write_text("0123456789abcdef\n")
        wait_until(lambda: client.get("/readyz").status_code == 503)
        assert client.post("/v1/query", files=files(image)).status_code == 200

    def test_nothing_is_written_where_the_index_has_gone(self, serve, own: Path, image: bytes) -> None:
        client = serve(own, writable=True)
        [added] = client.post("/v1/items", files=files(image)).json()["items"]
        [pair] = client.get("/v1/review").json()["pairs"]
        own.rename(own.with_name("elsewhere"))
        decision = {"one": pair["one"], "other": pair["other"], "relation": "same"}
        for told in (
            client.post("/v1/items", files=files((own.parent / "elsewhere" / "CURRENT").read_bytes(), image)),
            client.delete(f"/v1/items/{added['id']}"),
            client.post("/v1/review", json=decision),
            client.delete("/v1/review/last"),
        ):
            assert (told.status_code, told.json()["error"], told.headers["retry-after"]) == (503, "not-ready", "5")
            assert "no index at own" in told.json()["detail"]
            assert not own.exists()
        assert client.get("/readyz").status_code == 503
        own.with_name("elsewhere").rename(own)
        assert client.post("/v1/review", json=decision).status_code == 200

    def test_nothing_is_written_to_a_damaged_index(self, serve, own: Path, image: bytes) -> None:
        client = serve(own, writable=True)
        [stored] = own.glob("segments/*/catalog.parquet")
        stored.write_bytes(stored.read_bytes()[:-1])
        served = client.app.state.service.shelf.served["own"]
        client.portal.call(client.app.state.service.shelf.check, served)
        for _ in range(2):  # the next look for a new snapshot does not forget it
            assert client.post("/v1/items", files=files(image)).status_code == 503
            assert client.delete("/v1/review/last").status_code == 503
            assert client.get("/readyz").status_code == 503

    def test_metrics_count(self, serve, drawn: Path, image: bytes) -> None:
        client = serve(drawn / "my-index")
        client.post("/v1/query", files=files(image, b"no image"), data={"certify": "true"})
        text = client.get("/metrics").text
        for line in (
            'retr_verdicts_total{verdict="copy"} 1.0',
            'retr_rejected_total{reason="not-an-image"} 1.0',
            'retr_items{index="my-index"} 12.0',
            "retr_scanned_rows_total 12.0",
            'retr_requests_total{method="POST",route="/v1/query",status="200"} 1.0',
        ):
            assert line in text

    def test_an_uncertified_index_withholds_and_says_why(
        self, serve, drawn: Path, tmp_path: Path, image: bytes
    ) -> None:
        script = tmp_path / "tiny.pt"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is deprecated")
            module = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
            torch.jit.save(torch.jit.trace(module, torch.rand(1, 3, 16, 16)), str(script))
        retr.build(drawn / "corpus", tmp_path / "free", models=[f"torchscript:{script}@16x16"], workers=1)
        client = serve(tmp_path / "free")
        [record] = client.post("/v1/query", files=files(image), data={"certify": "true"}).json()
        assert (record["verdict"], record["certificate"]) == ("uncertified", None)
        assert record["withheld"]
        assert client.post("/v1/noise", files=files(image)).status_code == 422
        assert "retr_withheld_total 1.0" in client.get("/metrics").text


class TestPasses:
    def test_what_waits_is_answered_together_as_it_is_alone(self, serve, drawn: Path, image: bytes) -> None:
        client = serve(drawn / "my-index")
        alone = client.post("/v1/query", files=files(image), data={"certify": "true"}).json()[0]
        together = client.post("/v1/query", files=files(*[image] * 6), data={"certify": "true"}).json()
        for record in together:
            for key in ("verdict", "copy", "matches", "certificate"):
                assert record[key] == alone[key]
        text = client.get("/metrics").text
        sizes = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line.startswith("retr_pass")}
        assert sizes["retr_pass_images_sum"] == 7.0


class TestReview:
    def test_pairs_are_judged_undone_and_written_out(self, serve, own: Path, image: bytes) -> None:
        client = serve(own, writable=True, serve_images=True)
        client.post("/v1/items", files=files(image))
        told = client.get("/v1/review").json()
        [pair] = told["pairs"]
        assert told["left"] == 1
        decision = {"one": pair["one"], "other": pair["other"], "relation": "different"}
        assert client.post("/v1/review", json=decision).status_code == 200
        assert client.get("/v1/review").json()["left"] == 0
        lines = client.get("/v1/review.csv").text.splitlines()
        assert lines[0] == "image,copy_of,relation,since"
        assert sorted(lines[1].split(",")[:2]) == ["0.png", "007.png"]
        assert client.delete("/v1/review/last").json()["taken_back"]["relation"] == "different"
        assert client.get("/v1/review").json()["left"] == 1
        assert client.delete("/v1/review/last").json()["taken_back"] is None
        for bad in ({**decision, "other": "0" * 16}, {**decision, "relation": "perhaps"}, {"one": "x"}):
            assert client.post("/v1/review", json=bad).status_code == 422
        same = {**decision, "other": decision["one"]}
        assert client.post("/v1/review", json=same).status_code == 422

    def test_different_pictures_are_in_no_group_any_more(self, serve, own: Path, image: bytes) -> None:
        client = serve(own, writable=True)
        client.post("/v1/items", files=files(image))
        [pair] = client.get("/v1/review").json()["pairs"]
        client.post("/v1/review", json={"one": pair["one"], "other": pair["other"], "relation": "different"})
        from retr.indexer.dismissed import read_dismissed

        assert len(read_dismissed(own)) == 1


def test_openapi_has_an_example_of_an_answer(serve) -> None:
    spec = serve(writable=True).get("/openapi.json").json()
    example = spec["paths"]["/v1/query"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert example[0]["verdict"] == "copy"
    assert json.dumps(spec)
    assert np.isfinite(example[0]["copy"]["l2"])
