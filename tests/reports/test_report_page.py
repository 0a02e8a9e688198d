"""The report in a real browser: it opens without a network, its galleries filter and sort, its players play."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from irg_core.files import write_text
from irg_core.reports import page as pages
from irg_core.reports.gallery import Column, Exhibit, Gallery, Mark, Saying
from irg_core.reports.player import Track
from tests.reports.browser import Page, browser, find
from tests.reports.test_reports import STILL, report

pytestmark = pytest.mark.services

SHOWN = (
    "[...document.querySelectorAll('#traces-gallery article')].filter(one => !one.hidden)"
    ".map(one => one.querySelector('strong').textContent)"
)
COUNT = "document.querySelector('#traces-gallery output').textContent"


def choose(tag: str, value: str) -> str:
    pick = f"document.querySelector('#traces-gallery {tag}')"
    return f"(() => {{ {pick}.value = {value!r}; {pick}.dispatchEvent(new Event('change')) }})()"


def exhibit(goal: str, badness: float, **tags: str) -> Exhibit:
    said = Saying("Assessment:", "It turns left.", [Mark("turns left", "contradicted")])
    columns = [Column("Goal motion", "2 s"), Column("Round 1", "2 s", [said])]
    return Exhibit(goal, "", "", tags, badness, [Track("goal motion", STILL), Track("round 1", STILL)], columns)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find()
    if program is None:
        pytest.skip("no Chromium on this machine; on Debian and Ubuntu: apt-get install chromium")
    shown = Gallery([
        exhibit("a", 1.0, outcome="missed", action="walk"), exhibit("b", 0.0, outcome="fulfilled", action="walk"),
        exhibit("c", 2.0, outcome="missed", action="jump"),
    ])  # fmt: skip
    folder = tmp_path_factory.mktemp("report")
    fields = {**vars(report()), "traces": shown, "probes": shown}
    write_text(folder / "report.html", pages.render(pages.Report(**fields)))
    with browser(program, tmp_path_factory.mktemp("browser")) as opened:
        opened.open(folder / "report.html")
        yield opened


def test_a_gallery_shows_what_is_chosen_and_says_how_many(page: Page) -> None:
    assert page.run(SHOWN) == ["“a”", "“b”", "“c”"]
    assert page.run(COUNT) == "3 of 3"
    page.run(choose("[data-tag=outcome]", "missed"))
    assert page.run(SHOWN) == ["“a”", "“c”"]
    assert page.run(COUNT) == "2 of 3"
    page.run(choose("[data-tag=action]", "jump"))
    assert page.run(SHOWN) == ["“c”"]
    page.run(choose("[data-tag=action]", ""))
    page.run(choose("[data-tag=outcome]", ""))
    assert page.run(COUNT) == "3 of 3"


def test_a_gallery_can_begin_with_the_worst_and_go_back_to_the_order_of_the_lot(page: Page) -> None:
    page.run(choose(".order", "worst"))
    assert page.run(SHOWN) == ["“c”", "“a”", "“b”"]
    page.run(choose(".order", "best"))
    assert page.run(SHOWN) == ["“b”", "“a”", "“c”"]
    page.run(choose(".order", "lot"))
    assert page.run(SHOWN) == ["“a”", "“b”", "“c”"]


def test_the_other_gallery_keeps_what_it_shows(page: Page) -> None:
    page.run(choose("[data-tag=outcome]", "fulfilled"))
    hidden = "[...document.querySelectorAll('#flaws-gallery article')].filter(one => one.hidden).length"
    assert page.run(hidden) == 0
    page.run(choose("[data-tag=outcome]", ""))


def test_a_player_of_a_filtered_gallery_plays(page: Page) -> None:
    page.run(choose("[data-tag=outcome]", "fulfilled"))
    shown = "document.querySelector('#traces-gallery article:not([hidden]) .player')"
    page.run(f"{shown}.scrollIntoView()")
    page.wait(f"{shown}.querySelector('canvas').width > 0")
    page.run(f"{shown}.querySelector('.play').click()")
    page.wait(f"Number({shown}.dataset.frame) > 0")
    page.run(f"{shown}.querySelector('.play').click()")
    page.run(choose("[data-tag=outcome]", ""))


def test_the_page_asks_nobody_and_complains_of_nothing(page: Page) -> None:
    assert page.complaints == []


@pytest.mark.parametrize("width", [390, 1300])
def test_nothing_sticks_out_sideways(page: Page, width: int, tmp_path: Path) -> None:
    page.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    assert page.run("document.documentElement.scrollWidth") <= width
