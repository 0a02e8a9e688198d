"""The motion player in a real browser: pages open without a network, motions move, panels stay in step."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from irg_core.motion.skeleton import INDEX, OFFSETS, PARENTS
from irg_core.motion.strips import LEFT, RIGHT
from irg_core.reports.player import Track, head, player
from tests.reports.browser import Page, browser, find

pytestmark = pytest.mark.services


def waving(frames: int, metres: float = 0.0) -> np.ndarray:
    """Someone facing +Z who raises the left hand and goes forward."""
    joints = np.zeros((frames, 22, 3))
    for joint in range(1, 22):
        joints[:, joint] = joints[:, PARENTS[joint]] + OFFSETS[joint]
    joints[..., 1] -= joints[..., 1].min()
    joints[:, INDEX["left_wrist"], 1] += np.linspace(0.0, 1.0, frames)
    joints[..., 2] += np.linspace(0.0, metres, frames)[:, None]
    return joints


def page_of(folder: Path, *players: str) -> Path:
    file = folder / "page.html"
    gap = '<div style="height: 1500px"></div>'
    text = f'<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head()}'
    file.write_text(text + gap.join(players), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find()
    if program is None:
        pytest.skip("no Chromium on this machine; on Debian and Ubuntu: apt-get install chromium")
    with browser(program, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def four(page: Page, tmp_path: Path) -> Page:
    """A page with one player of four motions, two of them shorter, drawn and chosen."""
    tracks = [Track(f"round {number}", waving(frames)) for number, frames in enumerate((40, 40, 24, 8))]
    page.open(page_of(tmp_path, player(tracks, "four of them")))
    page.wait("document.querySelector('canvas').width > 0")
    page.run("document.querySelector('.player').focus({preventScroll: true})")
    return page


FRAMES = "[...document.querySelectorAll('.panel')].map(panel => +panel.dataset.frame)"
FRAME, STATE, VIEW = (f"document.querySelector('.player').dataset.{name}" for name in ("frame", "state", "view"))
SETTLED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def test_a_page_opens_without_a_network_and_without_a_complaint(four: Page) -> None:
    four.press(" ")
    four.wait(f"+{FRAME} > 3")
    assert [url.partition(":")[0] for url in four.requests] == ["file"]
    assert four.complaints == []


def test_a_motion_that_plays_changes_its_picture(four: Page) -> None:
    still, again = four.picture(".panel"), four.picture(".panel")
    assert np.array_equal(still, again), "nothing moves before it is asked to"
    four.press(" ")
    four.wait(f"+{FRAME} > 10")
    assert (four.picture(".panel") != still).any(axis=-1).sum() > 50


def test_panels_stay_in_step_and_shorter_motions_wait_in_their_last_frame(four: Page) -> None:
    four.press(" ")
    seen = []
    for frame in (2, 9, 26):
        four.wait(f"+{FRAME} >= {frame}")
        now, panels = four.run(f"[+{FRAME}, {FRAMES}]")
        assert panels == [now, now, min(now, 23), min(now, 7)]
        seen.append(now)
    assert seen == sorted(set(seen))


def test_keys_play_stop_and_step(four: Page) -> None:
    four.press(" ")
    four.wait(f"{STATE} === 'playing' && +{FRAME} > 0")
    four.press(" ")
    assert four.run(STATE) == "paused"
    for keys, frame in ((["Home"], 0), (["ArrowRight"] * 3, 3), (["ArrowLeft"], 2), (["End"], 39)):
        for key in keys:
            four.press(key)
        assert four.run(f"{SETTLED}.then(() => [+{FRAME}, +document.querySelector('.scrub').value])") == [frame, frame]


PANEL = "document.querySelector('.panel canvas')"
CLOCK = "<script>const due = []; requestAnimationFrame = act => due.push(act)</script>"
"""A page whose time passes only when `due` is called."""


@pytest.mark.parametrize(("speed", "frame"), [("0.25", 5), ("1", 20), ("2", 40)])
def test_the_speed_says_how_many_seconds_of_motion_pass_in_a_second(
    page: Page, tmp_path: Path, speed: str, frame: int
) -> None:
    page.open(page_of(tmp_path, Markup(CLOCK) + player([Track("waves", waving(60))])))
    page.wait("due.length === 1")  # seen, and asking to be drawn
    page.run(f"document.querySelector('.speed').value = '{speed}'; document.querySelector('.play').click()")
    page.run("for (let now = 1000; now <= 2000; now += 100) due.splice(0).forEach(act => act(now))")
    assert page.run(f"+{FRAME}") == frame


def test_left_limbs_are_on_the_left_of_the_one_who_moves(page: Page, tmp_path: Path) -> None:
    page.open(page_of(tmp_path, player([Track("stands", waving(1))])))
    page.wait("document.querySelector('canvas').width > 0")
    picture = page.picture(".panel").astype(int)

    def column(colour: str) -> float:
        wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        shade = picture / np.maximum(picture.max(axis=-1, keepdims=True), 1)
        is_near = np.abs(shade - wanted / wanted.max()).max(axis=-1) < 0.12
        assert is_near.sum() > 100, colour
        return float(np.argwhere(is_near)[:, 1].mean())

    # The performer faces us, so that the left side is on our right, as in the picture strips.
    assert column(LEFT) > column(RIGHT) + 5


def test_only_what_is_on_the_screen_is_drawn_and_by_one_context(page: Page, tmp_path: Path) -> None:
    page.open(page_of(tmp_path, *(player([Track(f"{number}", waving(8))]) for number in range(30))))
    drawn = "[...document.querySelectorAll('.panel > canvas')].map(canvas => canvas.width > 0)"
    page.wait(f"{drawn}[0]")
    assert page.run(drawn) == [True] + [False] * 29
    page.run("document.querySelectorAll('.player')[20].scrollIntoView()")
    page.wait(f"{drawn}[20] && !{drawn}[0]")
    for number in (20, 0):
        page.run(f"document.querySelectorAll('.player')[{number}].scrollIntoView()")
        page.wait(f"{drawn}[{number}]")
        page.run(f"document.querySelectorAll('.play')[{number}].click()")
    assert page.run("document.querySelectorAll('canvas.live').length") == 1
    assert page.run("[...document.querySelectorAll('.player')].filter(p => p.dataset.state === 'playing').length") == 1
    assert page.complaints == []


def test_a_drag_turns_all_panels_and_a_double_click_turns_them_back(four: Page) -> None:
    four.press("Home")
    four.run(SETTLED)
    before, view = four.picture(".panels"), four.run(VIEW)
    x, y = four.run(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({PANEL}.getBoundingClientRect())")
    for kind, dx in (("mousePressed", 0), ("mouseMoved", 60), ("mouseMoved", 120), ("mouseReleased", 120)):
        four.command("Input.dispatchMouseEvent", type=kind, x=x + dx, y=y, button="left", buttons=1, clickCount=1)
    four.wait(f"{VIEW} !== '{view}'")
    four.run(SETTLED)
    is_other = (four.picture(".panels") != before).any(axis=-1)
    assert all(panel.any() for panel in np.array_split(is_other, 4, axis=1))
    four.run("document.querySelector('canvas:not(.live)').dispatchEvent(new MouseEvent('dblclick'))")
    four.wait(f"{VIEW} === '{view}'")
    four.run(SETTLED)
    assert (four.picture(".panels") != before).mean() < 0.01 < is_other.mean()


@pytest.mark.parametrize("width", [390, 1400])
def test_four_panels_fit_a_phone_and_a_desk(page: Page, tmp_path: Path, width: int) -> None:
    page.open(page_of(tmp_path, player([Track("a rather long label of a motion", waving(8))] * 4)), width=width)
    page.wait("document.querySelector('canvas').width > 0")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.querySelector('.scrub').clientWidth") >= 48


def test_what_a_page_carries_is_within_half_a_millimetre_of_the_motion() -> None:
    track = Track("walks", waving(50, metres=3.0))
    numbers = np.frombuffer(base64.b64decode(track.data), "<i2").reshape(50, 22, 3) * track.unit
    assert np.abs(numbers - track.joints).max() <= 0.0005 + 1e-9


def test_a_motion_over_a_kilometre_keeps_its_shape() -> None:
    track = Track("runs", waving(50, metres=1000.0))
    numbers = np.frombuffer(base64.b64decode(track.data), "<i2").reshape(50, 22, 3) * track.unit
    assert np.abs(numbers - track.joints).max() < 0.02


@pytest.mark.parametrize("joints", [np.zeros((5, 24, 3)), np.zeros((0, 22, 3)), np.full((5, 22, 3), np.nan)])
def test_what_is_no_motion_is_refused_by_name(joints: np.ndarray) -> None:
    with pytest.raises(ValueError, match="'wrong'"):
        Track("wrong", joints)


def test_a_label_cannot_break_out_of_its_panel() -> None:
    assert "<script" not in player([Track("<script>alert(1)</script>", waving(2))], "<script>")
