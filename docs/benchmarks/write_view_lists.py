"""Write what choose_views.py chose into the code and onto the page that lists it.

    python docs/benchmarks/write_view_lists.py ORDER.json [--light 16] [--standard 128]

ORDER.json is what ``choose_views.py --out`` wrote. Rewrites
images/view_lists.py and the table in docs/decode-policy.md.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from pathlib import Path

from retr.core.files import write_atomically
from retr.images.views import VIEW_ROWS, VIEW_SETS

ROOT = Path(__file__).resolve().parents[2]
HEAD = '"""Views of the sets ``light/1`` and ``standard``, in the order in which docs/benchmarks/choose_views.py took them."""'  # noqa: E501
TABLE = "| set | rows | views |\n|---|---|---|\n"


def as_code(name: str, views: list[str]) -> str:
    """A constant that holds the names."""
    lines = textwrap.wrap(" ".join(views), 118, break_on_hyphens=False, break_long_words=False)
    size = f'"""{len(views)} views of 1,024 bytes: 768 block means and 256 numbers of retr_s, one byte each."""'
    return f'{name} = """\n' + "\n".join(lines) + f'\n"""\n{size}\n'


def as_row(name: str, views: list[str]) -> str:
    """A line of the page's table."""
    return f"| `{name}` | {VIEW_ROWS[name]} | " + ", ".join(f"`{view}`" for view in views) + " |\n"


def main() -> None:
    """Read the order, cut it twice, write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("order", type=Path)
    parser.add_argument("--light", type=int, default=16)
    parser.add_argument("--standard", type=int, default=128)
    args = parser.parse_args()
    order = [entry["view"] for entry in json.loads(args.order.read_text())["order"]]
    sets = {"light/1": order[: args.light], "standard": order[: args.standard]}
    names = {"light/1": "LIGHT_1", "standard": "STANDARD"}
    code = "\n".join([HEAD + "\n", *(as_code(names[name], views) for name, views in sets.items())])
    write_atomically(ROOT / "images" / "view_lists.py", code.encode())
    other = {name: [view.name for view in views] for name, views in VIEW_SETS.items() if name not in sets}
    rows = {**other, **sets}
    table = TABLE + "".join(as_row(name, views) for name, views in rows.items())
    page = ROOT / "docs" / "decode-policy.md"
    text = re.sub(re.escape(TABLE) + r"(\|.*\n)+", lambda _: table, page.read_text())
    write_atomically(page, text.encode())


if __name__ == "__main__":
    main()
