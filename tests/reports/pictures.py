"""The README's pictures of pages: `make pictures` takes them of the last build, in a headless browser."""

import base64
import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.reports.browser import browser, find

WIDTH, HEIGHT = 1280, 760
TRACE = """(() => {
  const order = document.querySelector("#traces-gallery .order")
  order.value = "worst"
  order.dispatchEvent(new Event("change"))
  const all = [...document.querySelectorAll("#traces-gallery article")]
  const shown = all.find(one => one.querySelectorAll(".panel").length > 1)
  shown.scrollIntoView()
  const place = shown.querySelector(".scrub")
  place.value = 40
  place.dispatchEvent(new Event("input"))
})()"""
CHANGES = "document.querySelector('#changes').scrollIntoView()"
VIEWS = {"report": TRACE, "changes": CHANGES}
"""Name of the picture, and what brings the page to where it is taken."""
DRAWN = 3.0
"""Seconds after which players stand still."""


def main(report: Path, to: Path) -> None:
    if not (program := find()):
        sys.exit("pictures of pages need Chromium on the PATH; none is there")
    with tempfile.TemporaryDirectory() as profile, browser(program, Path(profile)) as page:
        for name, moves in VIEWS.items():
            page.open(report, WIDTH, HEIGHT)
            time.sleep(DRAWN)
            page.run(moves)
            time.sleep(DRAWN)
            taken = base64.b64decode(page.command("Page.captureScreenshot")["data"])
            Image.open(io.BytesIO(taken)).convert("RGB").quantize(128).save(to / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
