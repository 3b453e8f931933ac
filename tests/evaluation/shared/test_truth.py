from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from retr.core.errors import UsageError
from retr.evaluation.shared.truth import truth_from_csv, truth_from_stems

PATHS = ["/c/cars/001.jpg", "/c/pets/001.jpg", "/c/pets/cat.png", "/c/pets/copy of cat.png", "/c/old.jpg"]


@pytest.fixture
def gallery():
    ids = [f"id{i}" for i in range(len(PATHS))]
    groups = np.array([0, 1, 2, 2, -1])  # two files with the same pixels; a tombstone
    return SimpleNamespace(catalog=pa.table({"id": ids, "path": PATHS}), groups=groups)


def write(tmp_path, text):
    table = tmp_path / "pairs.csv"
    table.write_text(text)
    return table


@pytest.mark.parametrize("name", ["id2", "/c/pets/cat.png", "cat.png", "copy of cat.png"])
def test_csv_names_items_by_id_path_or_name(gallery, tmp_path, name):
    table = write(tmp_path, f"note,truth,query\nx,{name},q.jpg\n")
    truth = truth_from_csv(gallery, ["/queries/q.jpg", "other.jpg"], table)
    assert truth.items == {"/queries/q.jpg": frozenset([2])}
    assert truth.skipped == {"other.jpg": "no row in pairs.csv"}


def test_csv_query_with_several_true_items(gallery, tmp_path):
    table = write(tmp_path, "query,truth\nq.jpg,id0\nq.jpg,id2\n")
    assert truth_from_csv(gallery, ["q.jpg"], table).items == {"q.jpg": frozenset([0, 2])}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question,truth\nq.jpg,id0\n", "needs the columns"),
        ("query,truth\nq.jpg,nothing.png\n", "nothing.png"),
        ("query,truth\nq.jpg,001.jpg\n", "names 2 items"),
        ("query,truth\nq.jpg,id4\n", "id4"),
    ],
)
def test_csv_mistakes_are_named(gallery, tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        truth_from_csv(gallery, ["q.jpg"], write(tmp_path, text))


def test_missing_table_is_a_usage_error(gallery, tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        truth_from_csv(gallery, ["q.jpg"], tmp_path / "none.csv")


def test_stems_use_the_longest_common_end_of_the_path(gallery):
    queries = ["/q/cat.webp", "/q/pets/001.png", "/q/001.png", "/q/dog.png", "/q/old.jpg"]
    truth = truth_from_stems(gallery, queries)
    assert truth.items == {"/q/cat.webp": frozenset([2]), "/q/pets/001.png": frozenset([1])}
    assert truth.skipped == {
        "/q/001.png": "2 items are named '001'",
        "/q/dog.png": "no item is named 'dog'",
        "/q/old.jpg": "no item is named 'old'",
    }
