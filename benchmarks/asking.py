"""Time and peak memory of asking, over growing tables, each in a process of its own and with nobody to wait for.

`python -m benchmarks.asking 10000 40000` runs the stage `assess` over those numbers of pairs with the `kinematic`
provider, once from an empty ledger and once more from the full one. `python -m benchmarks.asking dry 250000 500000`
leaves out what is `assess`'s own, the writing and the checking of texts: what remains is stream, ledger and tables, for
questions and replies of the same length. What was measured before is kept; benchmarks/results/asking.md has it all.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from irg_core.files import write_json, write_text
from irg_core.llm.chat import ChatRequest, Reply
from irg_core.llm.conduct import conducted, sort_out
from irg_core.llm.interview import Inquiry, Written
from irg_core.llm.limits import NO_LIMITS
from irg_core.records.annotation import UNWRITTEN, Assessment, Flawed, Pair, Rejection
from irg_core.records.motion import Facts, Measure, Phase
from irg_core.seeds import rng
from irg_core.tables import Draft, commit
from pipelines.executor import RuntimeParams

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "asking.json"
PAIRS_A_CLIP, FLAWED_A_CLIP = 10, 5
"""One pair shows the clip itself, half of all a motion that was made for it, the rest other clips of the corpus."""
MILLION = 1_000_000
ACTS = {
    "walk": ("walks forward", "forward", ""), "run": ("runs backward", "backward", ""), "jump": ("jumps", "", ""),
    "kick": ("kicks with the left leg", "", "left"), "wave": ("waves with the right hand", "", "right"),
    "squat": ("squats", "", ""), "bow": ("bows", "", ""),
}  # fmt: skip
"""Action to its words, direction and side."""


def measure(pairs: int) -> dict[str, float]:
    """Seconds and MiB of `assess` over so many pairs, asked and asked again, and the size of what it wrote."""
    place = Path(tempfile.mkdtemp(prefix="asking-"))
    try:
        make(place, pairs)
        fresh, again = run(place), run(place)
        ledger = (place / "runs/ledger/assess/made.jsonl").stat().st_size / 2**20
        return {
            "rows_per_second": round(pairs / fresh["seconds"]),
            "peak_mib": fresh["peak_mib"],
            "replayed_per_second": round(pairs / again["seconds"]),
            "replay_peak_mib": again["peak_mib"],
            "ledger_mib": round(ledger),
        }
    finally:
        shutil.rmtree(place)


def make(place: Path, pairs: int) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["assess"] |= {"provider": "kinematic", "model": "measured-facts"}
    params["runtime"] |= {"executor": "local"}
    (place / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    clips = pairs // PAIRS_A_CLIP
    commit(place / "facts.parquet", (Facts(_clip(n), 6.0, *_motion(n)) for n in range(clips)), Facts)
    commit(place / "flawed.parquet", _flawed(clips), Flawed)
    commit(place / "pairs.parquet", _pairs(clips), Pair)


def _clip(number: int) -> str:
    return f"made/{number:07d}"


def _motion(number: int, flaw: int = 0) -> tuple[list[Phase], list[Measure]]:
    draw = rng(17, number, flaw)
    acts = draw.choice(list(ACTS), size=1 + number % 3, replace=False)
    phases = [
        Phase(
            act, 2.0 * n, 2.0 * n + 1.5, ACTS[act][2], ACTS[act][1], float("nan"), int(draw.integers(1, 4)), "", "", 1.0
        )
        for n, act in enumerate(acts)
    ]
    measures = [
        Measure("path", "body", "", "forward", "straight", round(float(draw.random()), 3), "m", 0.0, 6.0)
        for _ in range(10)
    ]
    return phases, measures


def _flawed(clips: int) -> Iterator[Flawed]:
    for number in range(clips):
        for flaw in range(1, FLAWED_A_CLIP + 1):
            phases, measures = _motion(number, flaw)
            yield Flawed(f"{_clip(number)}~edit{flaw}", "edit", "edit", "{}", [1] * 30, phases, 6.0, measures)


def _pairs(clips: int) -> Iterator[Pair]:
    for number in range(clips):
        own, _ = _motion(number)
        goal = "a person " + ", then ".join(ACTS[phase.action][0] for phase in own) + "."
        others = [_clip(int(n)) for n in rng(18, number).integers(clips, size=PAIRS_A_CLIP - FLAWED_A_CLIP - 1)]
        shown = [_clip(number), *(f"{_clip(number)}~edit{n + 1}" for n in range(FLAWED_A_CLIP)), *others]
        for place, motion in enumerate(dict.fromkeys(shown)):
            source = "goal" if place == 0 else "edit" if "~" in motion else "retrieval"
            key = f"{_clip(number)}/0"
            yield Pair(f"{key}|{motion}", key, _clip(number), goal, motion, source, source, "{}", float(place))


def run(place: Path) -> dict[str, float]:
    made = [f"out/{name}.parquet" for name in ("assessments", "transcripts", "rejections")]
    tables = ["pairs.parquet", "facts.parquet", "flawed.parquet"]
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "pipelines", "assess", "made", *tables, *made],
        cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    seconds = time.monotonic() - started
    cost = json.loads((place / "runs/costs.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return {"seconds": seconds, "peak_mib": cost["peak_mib"]}


# ---- dry -------------------------------------------------------------------------------------------------------------

REPLY = json.dumps({"assessment": "The kick is missing, and the walk is too slow. " * 3, "refinement": "Kick. " * 15})
FILLER = "- left foot on the floor, 23 % of it (0.0-6.5 s)\n" * 50


class Instant:
    """A provider that has the same reply for everybody, at once."""

    identity, reads_payload, tries, limits = "instant", False, 1, NO_LIMITS

    def __init__(self) -> None:
        self.sampling: dict[str, Any] = {}
        self.notes: dict[str, str] = {}

    async def complete(self, request: ChatRequest) -> Reply:
        return Reply(REPLY, 800, 80)

    async def close(self) -> None:
        """Nothing is held open."""


def dry(rows: int) -> dict[str, float]:
    """In this process: its peak memory is what is measured."""
    place = Path(tempfile.mkdtemp(prefix="asking-"))
    os.chdir(place)
    origin = replace(UNWRITTEN, clip_id="made/0000001", prompt="assess.md", provider="instant", model="instant")

    def write() -> Iterator[ChatRequest]:
        for number in range(rows):
            prompt = f"The goal: a person walks, version {number}.\n\n{FILLER}"
            yield ChatRequest(f"made/{number:07d}", "assess", "You judge.", prompt, {}, {}, number, (), origin)

    def read(request: ChatRequest, text: str) -> Assessment:
        said = json.loads(text)
        return Assessment(request.key, said["assessment"], said["refinement"], request.origin)

    inquiry = Inquiry(Instant(), "instant", Written(rows, write), read, attempts=2)
    started, runtime = time.monotonic(), RuntimeParams("local", 1, "", 256, None, None)
    try:
        with (
            conducted(inquiry, ("assess", "made"), Path("transcripts.parquet"), runtime, map) as answers,
            Draft(Path("assessments.parquet"), Assessment) as told,
            Draft(Path("rejections.parquet"), Rejection) as refused,
        ):
            sort_out(answers, told, refused)
            written, _ = told.commit(), refused.commit()
        assert written == rows
        seconds, peak = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        ledger = Path("runs/ledger/assess/made.jsonl").stat().st_size / 2**20
        return {"rows_per_second": round(rows / seconds), "peak_mib": peak, "ledger_mib": round(ledger)}
    finally:
        shutil.rmtree(place)


REPLAYED = ("replayed_per_second", "replay_peak_mib")
TITLES = {
    "rows_per_second": "rows/s", "peak_mib": "peak MiB", "replayed_per_second": "rows/s from the ledger",
    "replay_peak_mib": "peak MiB", "ledger_mib": "ledger MiB",
}  # fmt: skip


# ---- the table -------------------------------------------------------------------------------------------------------


def table(measured: dict[str, dict[str, dict[str, float]]]) -> str:
    return "\n".join([
        "# Asking over growing tables", "",
        "## The stage `assess`", "",
        "One process on one core, `kinematic` provider: questions, ledger, checks and tables, and no endpoint.", "",
        *_rows(measured.get("assess", {}), ["rows_per_second", "peak_mib", *REPLAYED, "ledger_mib"]),
        "", "## Stream, ledger and tables alone", "",
        "One process on one core, questions and replies of 3 kB, no texts written or checked.", "",
        *_rows(measured.get("dry", {}), ["rows_per_second", "peak_mib", "ledger_mib"]),
    ]) + "\n"  # fmt: skip


def _rows(measured: dict[str, dict[str, float]], columns: list[str]) -> list[str]:
    lines = [
        f"| rows | {' | '.join(map(TITLES.__getitem__, columns))} |",
        "|" + "---:|" * (len(columns) + 1),
    ]
    sizes = sorted(map(int, measured))
    for size in sizes:
        lines.append(f"| {size:,} | " + " | ".join(f"{measured[str(size)][name]:,.0f}" for name in columns) + " |")
    if len(sizes) > 1:
        low, high = measured[str(sizes[-2])], measured[str(sizes[-1])]
        growth = (high["peak_mib"] - low["peak_mib"]) / (sizes[-1] - sizes[-2])
        million = high["peak_mib"] + growth * (MILLION - sizes[-1])
        lines += ["", f"Between the last two: {growth * 1024:.2f} KiB a row, and so {million:,.0f} MiB for a million."]
    return lines


def note(kind: str, size: str, result: dict[str, float]) -> None:
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known.setdefault(kind, {})[size] = result
    write_json(RESULTS, known)
    write_text(RESULTS.with_suffix(".md"), table(known))
    print(kind, size, result, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["dry", size]:
            note("dry", size, dry(int(size)))
        case ["dry", *sizes]:
            for size in sizes:
                subprocess.run([sys.executable, "-m", "benchmarks.asking", "dry", size], cwd=ROOT, check=True)
        case sizes:
            for size in sizes:
                note("assess", size, measure(int(size)))
