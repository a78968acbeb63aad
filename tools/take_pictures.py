"""Write pictures of sections of an HTML report, as a browser shows them.

Usage: python tools/take_pictures.py PAGE.html FOLDER SECTION…

Sections are those of the page's contents, such as results, standing or pareto. Files are named
after the page and the section. Chromium is found by CHROMIUM or on the path.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
WIDTH = 1100


def main(page: str, folder: str, *sections: str) -> None:
    """Take one picture per section."""
    source = Path(page).resolve()
    places = Path(folder)
    places.mkdir(parents=True, exist_ok=True)
    browser_file = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_file, args=FLAGS)
        view = browser.new_page(viewport={"width": WIDTH, "height": 800}, device_scale_factor=1.5)
        view.goto(source.as_uri())
        for section in sections:
            file = places / f"{source.stem}-{section}.png"
            view.locator(f"section#{section}").screenshot(path=file)
            print(file)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
