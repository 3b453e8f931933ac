"""Every page in a browser: axe finds nothing serious at the width of a desk and of a phone, in light and dark.

A browser and axe-core are no dependency of the tests: where they are asked for by path, they are used::

    npm install --prefix /tmp/axe axe-core
    export RETR_CHROMIUM=/usr/bin/chromium RETR_AXE=/tmp/axe/node_modules/axe-core/axe.min.js
    pytest tests/reports/test_accessibility.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import made_records
import made_reports
import made_triplets
import pytest

from retr.evaluation.knn.summary import summarise_knn
from retr.evaluation.robustness.summary import summarise
from retr.evaluation.two_afc.records import Records
from retr.evaluation.two_afc.summary import summarise_triplets
from retr.reports.audit_page import audit_page
from retr.reports.copy_page import copy_page
from retr.reports.knn_page import knn_page
from retr.reports.two_afc_page import two_afc_page

CHROMIUM, AXE = os.environ.get("RETR_CHROMIUM", ""), os.environ.get("RETR_AXE", "")
DARK = "@media (prefers-color-scheme: dark)"
RUN = """
<script>{axe}</script>
<script>
addEventListener("load", () => axe.run({{resultTypes: ["violations"]}}).then((found) => {{
  const told = found.violations.map((one) => [one.impact, one.id, one.nodes.map((node) => node.target.join(" "))]);
  const wide = [innerWidth, document.documentElement.scrollWidth];
  document.body.innerHTML = "<pre id=axe></pre>";
  document.getElementById("axe").textContent = JSON.stringify({{wide, told, passed: found.passes.length}});
}}));
</script>
"""


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
    if name == "copies":
        return copy_page(made_reports.Copies().summary, command="retr bench-copies ./photos")
    result = made_reports.knn()
    return knn_page(result, summarise_knn(result))


@pytest.mark.skipif(not CHROMIUM, reason="RETR_CHROMIUM names no browser")
@pytest.mark.skipif(not AXE, reason="RETR_AXE names no axe.min.js")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["audit", "copies", "knn", "two_afc"])
def test_axe_finds_nothing_serious(name: str, scheme: str, width: int, tmp_path: Path) -> None:
    text = re.sub(r"<meta http-equiv[^>]*>", "", made(name))
    assert DARK in text
    text = text.replace(DARK, "@media all" if scheme == "dark" else "@media not all")
    axe = Path(AXE).read_text(encoding="utf-8").replace("</script", "<\\/script")
    file = tmp_path / "page.html"
    file.write_text(text.replace("</head>", f"{RUN.format(axe=axe)}</head>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=60000"]
    command = [CHROMIUM, *flags, f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    told = re.search(r"<pre id=\"axe\">(.*?)</pre>", dumped, re.S)
    assert told is not None
    found = json.loads(told[1])
    assert found["passed"] > 10
    assert found["wide"][1] <= found["wide"][0]  # nothing is wider than the window but what scrolls in its own frame
    assert [one for one in found["told"] if one[0] in ("serious", "critical")] == []
