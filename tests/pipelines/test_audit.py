"""The corpus page: what it counts, what it plays, and that nothing in a corpus can break out of it."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from irg_core.motion.audit import AuditParams
from irg_core.params import section
from irg_core.records.annotation import Rejection
from irg_core.records.audit import POSE, Finding
from irg_core.records.motion import Clip, SourceCaption, Split
from irg_core.reports import corpus as pages
from irg_core.tables import commit
from pipelines import audit

PARAMS = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
CLIPS, REJECTIONS, FINDINGS, SPLITS, TWINS = (Path(f"{name}.parquet") for name in ("c", "r", "f", "s", "t"))
PAGE = Path("data/page.html")
HOSTILE = "</article><script>alert(1)</script>"


def motion(frames: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(frames)).normal(size=(frames, POSE)).astype(np.float32)


def finding(name: str, kind: str, outcome: str, corpus: str = "mine", frames: int = 0, detail: str = "") -> Finding:
    after = motion(frames) if outcome == "repaired" else motion(0)
    return Finding(f"{name}|{kind}", corpus, name, kind, 0.5, "m", 0.1, outcome, detail, motion(frames), after)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump({"audit": PARAMS["audit"]}))
    rows = np.zeros((60, 263), dtype=np.float32)
    said = [SourceCaption("a person walks", "")]
    clips = [Clip(f"mine/{n}", "mine", f"mine/{n % 3}", "walk", rows, said * (n > 0), "") for n in range(4)]
    found = [
        finding("mine/1", "spike", "repaired", frames=30),
        finding(f"mine/{HOSTILE}", "teleport", "rejected", frames=20, detail=HOSTILE),
        finding("mine/2", "foot skate", "accepted"),
        finding("mine/3", "unreadable motion file", "rejected"),
    ]
    copies = [finding("mine/3", "twin", "repaired"), finding("other/9", "mirrored twin", "repaired", "other")]
    splits = [Split(clip.clip_id, "mine", "train", False, []) for clip in clips]
    rejections = [Rejection("mine/7", "ingest", "teleport", HOSTILE)]
    commit(CLIPS, clips, Clip)
    commit(REJECTIONS, rejections, Rejection)
    commit(FINDINGS, found, Finding)
    commit(SPLITS, splits, Split)
    commit(TWINS, copies, Finding)
    audit.main("mine", CLIPS, REJECTIONS, FINDINGS, SPLITS, TWINS, PAGE)
    return PAGE.read_text()


def test_the_page_counts_clips_and_findings_of_its_corpus_only(page: str) -> None:
    assert "4 clips from 3 takes" in page
    assert "1 came without any" in page
    for kind in ("spike", "teleport", "foot skate", "unreadable motion file", "twin"):
        assert f"<td>{kind}</td>" in page
    assert "mirrored twin" not in page


def test_what_was_repaired_plays_beside_what_it_was(page: str) -> None:
    assert page.count('<figure class="player"') == 2
    assert page.count("as it came</span>") == 2
    assert page.count("repaired</span></div>") == 1


def test_the_page_is_one_file_and_nothing_breaks_out_of_it(page: str) -> None:
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)") == 2
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)


def test_kinds_that_cost_takes_come_first() -> None:
    rows = [
        finding("a", "foot skate", "accepted"),
        finding("a", "spike", "repaired"),
        finding("b", "jitter", "rejected"),
    ]
    assert [kind.name for kind in pages.kinds(rows)] == ["jitter", "spike", "foot skate"]
    assert pages.by_outcome(rows) == {"accepted": 1, "rejected": 1, "repaired": 1}


def test_whole_numbers_have_a_bar_each_and_a_wide_range_has_twelve() -> None:
    assert pages.histogram([1, 2, 2, 4]).count("<rect") == 4
    assert pages.histogram([0.5 * n for n in range(100)]).count("<rect") == pages.BINS
    assert pages.histogram([2.5, 2.5]).count("<rect") == pages.BINS


def test_a_page_without_findings_says_so() -> None:
    made = pages.Makeup(1, [3.0, 2.0], [1.0, 0.5], [1, 1], [4, 5])
    rules = section("audit", AuditParams).rules
    html = pages.render("clean", made, [], [], [Split("clean/a", "clean", "train", False, [0])], rules)
    assert "Nothing was found." in html
    assert len(html) < 20_000
