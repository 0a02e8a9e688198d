"""Prefect's pages in a headless browser, used as a person uses them.

Where `make watch` was said, `python -m tests.flows.ui <folder of BVH> <folder for pictures>` regenerates
the dataset of a folder through the form, and leaves two pictures: deployment.png and run.png.
"""

import base64
import io
import json
import re
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.reports.browser import Page, browser, find

FIELD = (
    "[...document.querySelectorAll('.schema-form-property')].find(field => "
    "field.querySelector('.schema-form-property__label')?.textContent.trim().startsWith({label!r}))"
)


def press(page: Page, words: str, tag: str = "a, button") -> None:
    """Click what says these words, once it is there."""
    found = f"[...document.querySelectorAll({tag!r})].find(one => one.textContent.trim().startsWith({words!r}))"
    page.wait(found)
    page.run(f"{found}.click()")


def fill(page: Page, label: str, value: str) -> None:
    """Write into a field of the form, or choose in it."""
    field = FIELD.format(label=label)
    page.wait(field)
    page.run(
        f"(field => {{ const input = field.querySelector('select, textarea, input');"
        f"Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), 'value').set.call(input, {value!r});"
        "for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind, {bubbles: true})) })"
        f"({field})"
    )


def open_form(page: Page, address: str, deployment: str) -> None:
    page.open(f"{address}/deployments", 1280, 1000)
    press(page, deployment)
    press(page, "Run", ".run-menu__run-button")
    press(page, "Custom run")
    page.wait("document.querySelector('.schema-form-property')")


def submit(page: Page) -> None:
    page.run("[...document.querySelectorAll('button')].find(one => one.textContent.trim() === 'Submit').click()")


def run_of(page: Page) -> str:
    """Go to the run that was just submitted, by the note that leads there for a few seconds; its id."""
    page.wait("document.querySelector('.p-toast__card')")
    assert "scheduled" in text(page), text(page)  # a refusal stands in the same place
    press(page, "View run", "button")
    page.wait("/flow-run\\/[0-9a-f-]{36}/.test(location.href)")
    return str(page.run("location.href")).split("flow-run/")[1][:36]


def picture(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(page.command("Page.captureScreenshot")["data"]))).convert("RGB")


def text(page: Page) -> str:
    return str(page.run("document.body.innerText"))


def regenerate(page: Page, address: str, folder: Path, captions: str, depth: str) -> tuple[str, Image.Image]:
    """Start the dataset of a folder through the form; the run's id, and the form as it was sent."""
    open_form(page, address, "Regenerate the dataset")
    given = {"Corpus": "mocap", "Format": "bvh", "Root": str(folder), "Captions": captions, "Depth": depth}
    for label, value in given.items():
        fill(page, label, value)
    time.sleep(0.5)
    form = picture(page)
    submit(page)
    return run_of(page), form


def show_run(page: Page, address: str, run: str) -> None:
    """The page of a run from its beginning: what is drawn while it goes on keeps the span that it was opened with."""
    page.open(f"{address}/runs/flow-run/{run}", 1280, 1000)
    page.wait("document.body.innerText.includes('Subflow Runs')")
    time.sleep(4)


def wait_for_end(page: Page, seconds: float) -> str:
    """The state in which the run ends whose page is open."""
    deadline = time.monotonic() + seconds
    while (found := re.search(r"\b(Completed|Failed|Crashed|Cancelled)\b", text(page))) is None:
        assert time.monotonic() < deadline, text(page)
        time.sleep(0.5)
    return found[1]


def main(folder: Path, to: Path) -> None:
    server = json.loads(Path(".prefect/server.json").read_text())
    address, program = f"http://127.0.0.1:{server['port']}", find()
    assert program is not None, "no Chromium on this machine"
    with browser(program, Path(tempfile.mkdtemp())) as page:
        run, form = regenerate(page, address, folder, "index.csv", "captions")
        wait_for_end(page, 600)
        show_run(page, address, run)
        for name, shown in (("deployment", form), ("run", picture(page))):
            shown.quantize(128).save(to / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
