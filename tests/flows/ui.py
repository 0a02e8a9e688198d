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
NOTE = "document.querySelector('.p-toast__card')"


def press(page: Page, words: str, tag: str = "a, button") -> None:
    """Click what says these words, once it is there."""
    found = f"[...document.querySelectorAll({tag!r})].find(one => one.textContent.trim().startsWith({words!r}))"
    page.wait(found)
    page.run(f"{found}.click()")


def fill(page: Page, label: str, value: str) -> None:
    """Write into a field of the form, or choose in it; the form knows of it when this returns."""
    field = FIELD.format(label=label)
    page.wait(field)
    # The form hears of what is typed a moment later, and meanwhile would be sent without it. What was wiped out again
    # on the screen comes back once the form has it.
    page.run(
        f"(field => {{ const input = field.querySelector('select, textarea, input');"
        "const write = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), 'value').set.bind(input);"
        f"if (input.value === {value!r}) return; write({value!r});"
        "for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind, {bubbles: true}));"
        f"write('') }})({field})"
    )
    page.wait(f"{field}.querySelector('select, textarea, input').value === {value!r}")


def open_form(page: Page, address: str, deployment: str) -> None:
    page.open(f"{address}/deployments", 1280, 1000)
    press(page, deployment)
    press(page, "Run", ".run-menu__run-button")
    press(page, "Custom run")
    page.wait("document.querySelector('.schema-form-property')")


def submit(page: Page) -> str:
    """Send the form; what the note says that comes up then. It stays, for a pointer rests on it."""
    page.run("[...document.querySelectorAll('button')].find(one => one.textContent.trim() === 'Submit').click()")
    page.wait(f"{NOTE}?.dispatchEvent(new MouseEvent('mouseenter'))")
    return str(page.run(f"{NOTE}.querySelector('.p-toast__message').innerText")).strip()


def run_of(page: Page) -> str:
    """Go to the run that was just submitted, by the note that leads there; its id."""
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
    form = still(page)
    said = submit(page)
    assert "scheduled" in said, said  # a refusal stands in the same place
    return run_of(page), form


def show_run(page: Page, address: str, run: str) -> None:
    """The page of a run from its beginning: what is drawn while it goes on keeps the span that it was opened with."""
    page.open(f"{address}/runs/flow-run/{run}", 1280, 1000)
    page.wait("document.body.innerText.includes('Subflow Runs')")


def still(page: Page) -> Image.Image:
    """A picture, once two of them are the same."""
    shown, before = picture(page), None
    for _ in range(30):
        if shown == before:
            break
        time.sleep(0.5)
        shown, before = picture(page), shown
    return shown


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
        for name, shown in (("deployment", form), ("run", still(page))):
            shown.quantize(128).save(to / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
