"""The report in a real browser: it opens without a network, its galleries filter and sort, its players play."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from irg_core import dialogue
from irg_core.corpora import procedural
from irg_core.dialogue import SENTINEL, Round, Trace
from irg_core.files import write_text
from irg_core.motion.features import extract
from irg_core.params import mapping
from irg_core.records.evaluation import Generation
from irg_core.records.motion import Clip, Take
from irg_core.records.reasoning import Probed
from irg_core.reports import exhibits
from irg_core.reports import page as pages
from irg_core.reports.exhibits import Room
from irg_core.reports.gallery import Column, Exhibit, Gallery, Mark, Saying
from irg_core.reports.player import Track
from tests.reports.browser import Page, browser, find
from tests.reports.test_reports import LIMITS, STILL, report

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
def program() -> str:
    found = find()
    if found is None:
        pytest.skip("no Chromium on this machine; on Debian and Ubuntu: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def page(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
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
    assert [url.rpartition("/")[2] for url in page.requests] == ["report.html"], "the page itself, and nothing more"


@pytest.mark.parametrize("width", [390, 1300])
def test_nothing_sticks_out_sideways(page: Page, width: int, tmp_path: Path) -> None:
    page.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    assert page.run("document.documentElement.scrollWidth") <= width


ROUNDS = 4
"""Of every answer: the most that models of the demo go."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with as many exhibits as params.yaml asks for, of whole motions that move, all of them with every
    round: larger than that of the demo can be."""
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=24, seed=5)
    clips = [
        Clip(f"p/{take.name}", "p", f"p/{take.name}", take.cell, extract(take.joints), list(take.captions), "{}")
        for take in takes
        if isinstance(take, Take)
    ]
    room = Room({clip.clip_id: clip for clip in clips}, lambda codes: clips[codes[0] % len(clips)].features, LIMITS)
    counts = mapping("report")
    traces = exhibits.traces([answer(clips, n) for n in range(60)], room, counts["traces"], seed=1)
    probes = exhibits.probes([probe(clips, n) for n in range(60)], room, counts["probes"], seed=1)
    path = tmp_path_factory.mktemp("whole") / "report.html"
    write_text(path, pages.render(replace(report(), traces=traces, probes=probes)))
    return path


def answer(clips: list[Clip], n: int) -> Generation:
    """An answer to a goal, whose rounds show motions of other goals and at last, for every second one, its own."""
    goal = clips[n % len(clips)]
    motions = [[n + place + 1] * 40 for place in range(ROUNDS - 1)] + [[n + n % 2] * 40]
    rounds = [Round(tuple(codes), "The person walks forward.", "Turn left first.") for codes in motions[:-1]]
    told = Trace("It asks for a motion.", (*rounds, Round(tuple(motions[-1]), "It fits.", SENTINEL)))
    text = goal.captions[0].text
    return Generation(
        f"m|{n}",
        f"{goal.clip_id}/{n}",
        goal.clip_id,
        "p",
        False,
        text,
        dialogue.render(told),
        motions,
        True,
        "satisfied",
    )


def probe(clips: list[Clip], n: int) -> Probed:
    goal, kind = clips[n % len(clips)], ("none", "random", "mirror")[n % 3]
    return Probed(
        f"m|{n}~{kind}", f"{goal.clip_id}/0", goal.clip_id, "p", goal.captions[0].text, kind, "{}", [n + n % 3],
        "The person walks forward.", "Turn left first.", [[n + 5]], -1.0, n % 2 == 0, True, True, False, False, False,
        [],
    )  # fmt: skip


def test_a_page_with_all_its_exhibits_can_be_sent_by_mail(written: Path) -> None:
    html = written.read_text(encoding="utf-8")
    counts = mapping("report")
    assert html.count("<article") == counts["traces"] + counts["probes"]
    assert html.count('class="panel"') == counts["traces"] * (ROUNDS + 1) + counts["probes"] * 3
    assert len(html.encode()) < 25e6


@pytest.fixture(scope="module")
def whole(program: str, written: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The same, opened where there is no network."""
    with browser(program, tmp_path_factory.mktemp("browser")) as opened:
        opened.command("Network.enable")
        gone = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        opened.command("Network.emulateNetworkConditions", **gone)
        yield opened.open(written)


def test_a_whole_report_filters_plays_asks_nobody_and_complains_of_nothing(whole: Page, written: Path) -> None:
    assert whole.run("navigator.onLine") is False
    outcomes = Counter(
        whole.run("[...document.querySelectorAll('#traces-gallery article')].map(a => a.dataset.outcome)")
    )
    assert {"fulfilled", "missed"} <= set(outcomes), "answers of both kinds, or nothing is filtered"
    for outcome, number in outcomes.items():
        whole.run(choose("[data-tag=outcome]", outcome))
        assert whole.run(COUNT) == f"{number} of {sum(outcomes.values())}"
        assert len(whole.run(SHOWN)) == number
    whole.run(choose("[data-tag=outcome]", ""))
    for gallery in ("traces", "flaws"):
        shown = f"document.querySelector('#{gallery}-gallery article:last-of-type .player')"
        whole.run(f"{shown}.scrollIntoView()")
        whole.wait(f"{shown}.querySelector('canvas').width > 0")
        whole.run(f"{shown}.querySelector('.play').click()")
        whole.wait(f"Number({shown}.dataset.frame) > 2")
        whole.run(f"{shown}.querySelector('.play').click()")
    assert whole.complaints == []
    assert whole.requests == [written.resolve().as_uri()]


@pytest.mark.parametrize("width", [390, 1300])
def test_nothing_of_a_whole_report_sticks_out_sideways(whole: Page, width: int) -> None:
    whole.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    whole.command(
        "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
    )
    assert whole.run("document.documentElement.scrollWidth") <= width
