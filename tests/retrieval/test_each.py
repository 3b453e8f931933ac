"""One outcome for every input, whatever becomes of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.core.errors import IntegrityError
from retr.retrieval.each import answer_each
from retr.retrieval.query import Outcome


def ask(broken, size):
    """Answers in batches, and falls over a broken path before the first answer of its batch."""

    def run(paths):
        for start in range(0, len(paths), size):
            batch = paths[start : start + size]
            if broken & set(batch):
                raise RuntimeError(f"fell over {sorted(broken & set(batch))[0]}")
            yield from (Outcome(path, answer=None) for path in batch)

    return run


@given(st.lists(st.integers(0, 60).map(str), max_size=60), st.sets(st.integers(0, 60).map(str)), st.integers(1, 20))
def test_every_input_has_its_outcome_in_order(paths, broken, size):
    found = list(answer_each(ask(broken, size), paths, batch=size))
    assert [outcome.path for outcome in found] == paths
    assert [outcome.refused is not None for outcome in found] == [path in broken for path in paths]


def test_the_reason_names_the_error():
    (outcome,) = answer_each(ask({"a"}, 4), ["a"])
    assert outcome.refused is not None
    assert (outcome.refused.stage, outcome.refused.reason) == ("answer", "failed")
    assert outcome.refused.detail == "RuntimeError: fell over a"


@pytest.mark.parametrize("error", [IntegrityError("damaged"), KeyboardInterrupt()])
def test_what_is_wrong_with_all_ends_all(error):
    def run(paths):
        yield Outcome(paths[0], None)
        raise error

    outcomes = answer_each(run, ["a", "b"])
    assert next(outcomes).path == "a"
    with pytest.raises(type(error)):
        next(outcomes)
