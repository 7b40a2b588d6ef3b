"""Makes the pictures that `api` ships of the drawings beside this file: run it after changing one.

    PYTHONPATH=. python web/emotes/render.py

Chromium draws each at 112 pixels; the rest is what happens to an upload.
"""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from api.emotes.images import LARGEST as SIZE
from api.emotes.images import render

HERE = Path(__file__).resolve().parent
SET = HERE.parents[1] / "api" / "emotes" / "set"


def main() -> None:
    """Render every drawing."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM"), chromium_sandbox=False
        )
        page = browser.new_page(viewport={"width": SIZE, "height": SIZE})
        for file in sorted(HERE.glob("*.svg")):
            drawing = base64.b64encode(file.read_bytes()).decode()
            page.set_content(
                f'<style>body{{margin:0}}</style><img width="{SIZE}" height="{SIZE}"'
                f' src="data:image/svg+xml;base64,{drawing}">'
            )
            page.wait_for_function("document.images[0].complete")
            shot = page.screenshot(omit_background=True)
            for size, picture in render(shot).pictures.items():
                (SET / str(size) / f"{file.stem}.webp").write_bytes(picture)
            sys.stdout.write(f"{file.stem}\n")
        browser.close()


if __name__ == "__main__":
    main()
