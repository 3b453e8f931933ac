"""Make the pictures of the documentation: the page, a report, and the terminal, on drawn images.

    python docs/examples/show_service.py [OUT]

needs the extra ``serve``, Playwright, and a Chromium (``RETR_CHROMIUM``, else the one on the path). It draws a corpus
in a temporary folder, indexes it, serves it, does with the page what a person would, and writes small PNGs to ``OUT``
(docs/images).
"""

from __future__ import annotations

import html
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
COLOURS = 160
"""Of a palette: what is drawn here needs no more."""


def retr(folder: Path, *words: str, wide: int = 100) -> str:
    """What a command prints."""
    environment = {**os.environ, "COLUMNS": str(wide), "RETR_CACHE": "off"}
    command = [sys.executable, "-m", "retr", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode in (0, 3), done.stderr
    return done.stdout


@contextmanager
def served(folder: Path, index: str) -> Iterator[str]:
    """The service of an index on a free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = ["serve", index, "--port", str(port), "--writable", "--serve-images"]
    command = [sys.executable, "-m", "retr", *words]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(1500):
                try:
                    urllib.request.urlopen(f"{url}/readyz")  # noqa: S310 - this very machine
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def keep(page: Any, file: Path, **how: Any) -> None:
    """A picture of the page as a small PNG."""
    picture = Image.open(io.BytesIO(page.screenshot(**how))).convert("RGB")
    small = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(file, optimize=True)
    print(f"{file}: {picture.width}×{picture.height}, {file.stat().st_size // 1024} KB")


def terminal(text: str, command: str) -> str:
    """A terminal as a page; letters that its font lacks are as wide as all others."""
    style = "margin:0;padding:22px 26px;background:#14181b;color:#e3e6e8;font:14px/1.32 'DejaVu Sans Mono',monospace"
    letters = html.escape(text).replace("ℓ", '<span style="display:inline-block;width:1ch">ℓ</span>')
    return f'<body style="margin:0"><pre style="{style}"><b>$ {html.escape(command)}</b>\n{letters}</pre>'


def show_terminal(page: Any, folder: Path, out: Path) -> None:
    """A certified query in a shell."""
    words = ["query", "img.png", "-i", "my-index", "--certify", "-k", "3"]
    page.set_viewport_size({"width": 1330, "height": 300})
    page.goto("about:blank")  # away from the policy of the service, which forbids styles in a page
    page.set_content(terminal(retr(folder, *words), " ".join(["retr", *words])))
    keep(page, out / "terminal.png", full_page=True)


def show_page(page: Any, url: str, folder: Path, out: Path) -> None:
    """The page, as a person uses it."""
    page.goto(url)
    page.wait_for_selector("#facts:has-text('images')")
    page.set_input_files("#file", str(folder / "img.png"))
    page.wait_for_selector(".match .picture img")
    page.click("#edits button")
    page.wait_for_selector(".range")
    page.click("#noise")
    page.wait_for_selector("#noisy img")
    page.wait_for_load_state("networkidle")
    keep(page, out / "page.png", clip={"x": 0, "y": 0, "width": 1000, "height": 1180}, full_page=True)
    page.set_viewport_size({"width": 390, "height": 780})
    page.emulate_media(color_scheme="dark")
    page.evaluate("window.scrollTo(0, 0)")
    keep(page, out / "page-phone.png")
    page.set_viewport_size({"width": 1000, "height": 760})
    page.emulate_media(color_scheme="light")
    images = [folder / "img.png", *sorted((folder / "queries").iterdir()), *sorted((folder / "absent").iterdir())[:4]]
    page.set_input_files("#files", [str(path) for path in images])
    page.wait_for_selector("#csv:not([disabled])")
    keep(page, out / "page-batch.png")
    page.click("#batch-review")
    page.wait_for_selector("#pair:not([hidden])")
    page.wait_for_load_state("networkidle")
    keep(page, out / "page-review.png")


def main(out: Path) -> None:
    """Draw, index, serve, look."""
    chromium = os.environ.get("RETR_CHROMIUM") or shutil.which("chromium")
    assert chromium, "there is no Chromium on the path; RETR_CHROMIUM names one"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        draw = [sys.executable, str(HERE / "draw_corpus.py"), str(folder)]
        subprocess.run(draw, check=True, capture_output=True)  # noqa: S603
        retr(folder, "index", "./corpus", "-i", "my-index")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1000, "height": 760})
        page.set_default_timeout(180_000)
        with served(folder, "my-index") as url:
            show_page(page, url, folder, out)
        show_terminal(page, folder, out)
        words = ["query", "img.png", "-i", "my-index", "--certify", "-k", "3"]
        retr(folder, *words, "--against", "brightness:0.3..3", "--against", "contrast:0.3..3", "--html", "report.html")
        page.set_viewport_size({"width": 1000, "height": 760})
        page.goto((folder / "report.html").as_uri())
        keep(page, out / "report.png", clip={"x": 0, "y": 0, "width": 1000, "height": 1150}, full_page=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "images")
