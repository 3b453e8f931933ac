"""Every page in a browser: axe finds nothing serious at the width of a desk and of a phone, in light and dark.

A browser and axe-core are no dependency of the tests: the Chromium of the system is used, and axe where it is named::

    npm install --prefix /tmp/axe axe-core
    export RETR_AXE=/tmp/axe/node_modules/axe-core/axe.min.js
    pytest tests/reports/test_accessibility.py
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import made_records
import made_reports
import made_triplets
import numpy as np
import pytest

from retr.evaluation.knn.summary import summarise_knn
from retr.evaluation.robustness.summary import summarise
from retr.evaluation.two_afc.records import Records
from retr.evaluation.two_afc.summary import summarise_triplets
from retr.reports.audit_page import audit_page
from retr.reports.audit_page_images import picture
from retr.reports.copy_page import copy_page
from retr.reports.dupes_page import Section, Shot
from retr.reports.knn_page import knn_page
from retr.reports.pages import page
from retr.reports.query_page import asked, write_query_page
from retr.reports.two_afc_page import two_afc_page

AXE = os.environ.get("RETR_AXE", "")


@cache
def made(name: str) -> str:
    """A page of each audit, from made-up records."""
    if name == "audit":
        moved = {"goal": "embedding", "embedding_shift": 0.5, "embedding_limit": 0.6}
        records = made_records.table(*made_records.audit(files=3), made_records.trial(1.0, **moved))
        return audit_page(summarise(records), records, root=Path("/nowhere"), thumbnail=lambda *_: None)
    if name == "two_afc":
        found = made_triplets.benchmark(triplets=12)
        records = Records(found.table, {**found.facts, "data": [{"name": "made", "source": {"layout": "bapps"}}]})
        return two_afc_page(summarise_triplets(records), records)
    if name == "query":
        found = [asked(made_reports.answer(path=path), path, "RMSE 1") for path in ("/c/1.png", "/c/long-name" * 9)]
        with tempfile.TemporaryDirectory() as folder:
            write_query_page(Path(folder, "page.html"), found, "my-index")
            return Path(folder, "page.html").read_text(encoding="utf-8")
    if name == "dupes":
        shot = Shot(picture(np.zeros((470, 428, 3))), "/c/1.png", ("640×480 PNG, centre",))
        groups, pairs = (
            [Section("group 1", (shot, shot))],
            [Section("Pair 1", (shot, shot), ("retr dupes --same a b",))],
        )
        return page("dupes.html.j2", index="my-index", sections=groups, groups=1, more=0, pairs=pairs, more_pairs=2)
    if name == "copies":
        return copy_page(made_reports.Copies().summary, command="retr bench-copies ./photos")
    result = made_reports.knn()
    return knn_page(result, summarise_knn(result))


@pytest.mark.skipif(not AXE, reason="RETR_AXE names no axe.min.js")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["audit", "copies", "dupes", "knn", "query", "two_afc"])
def test_axe_finds_nothing_serious(browser: Any, name: str, scheme: str, width: int, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(made(name), encoding="utf-8")
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        opened = context.new_page()
        opened.goto(file.as_uri())
        opened.evaluate(Path(AXE).read_text(encoding="utf-8"))
        found = opened.evaluate("axe.run({resultTypes: ['violations']})")
        wide = opened.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert len(found["passes"]) > 10
    assert wide == [width, width]  # nothing is wider than the window but what scrolls in its own frame
    told = [(one["impact"], one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
    assert [one for one in told if one[0] in ("serious", "critical")] == []
