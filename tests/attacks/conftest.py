"""Attack libraries, used to check ours against; tests that want them are skipped where they are not installed."""

import warnings

import pytest


@pytest.fixture(scope="session")
def foolbox():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports names that SciPy is about to drop
        return pytest.importorskip("foolbox")


@pytest.fixture(scope="session")
def autoattack():
    """The modules of pyautoattack by name."""
    pytest.importorskip("pyautoattack")
    from pyautoattack import autopgd_base, fab_pt, square

    return {"apgd": autopgd_base.APGDAttack, "fab": fab_pt.FABAttack_PT, "square": square.SquareAttack}
