"""Whether what the kinematic annotator says is true, by what it never sees: the parameters of procedural motions.

`python -m benchmarks.kinematic_texts` writes benchmarks/results/kinematic_texts.json and .md. Captions, analyses,
assessments and refinements go the way of the factory, from features through measured facts; each statement in them is
then held against what the synthesiser was told to do. The motions judged are the goals' own, the same with one act
changed and synthesised anew, and others. Recorded motions (DeepMimic from a built `data/`, CMU from ../shared/data)
have no such truth: there it is counted how much of what is said `verify` believes.
"""

import asyncio
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.annotate import analyse, assess, describe, grounding, verify
from irg_core.annotate.analyse import AnalyseParams
from irg_core.annotate.assess import AssessParams
from irg_core.annotate.demands import demand
from irg_core.annotate.describe import DescribeParams, Said
from irg_core.annotate.facts import facts, version
from irg_core.annotate.grounding import Known
from irg_core.annotate.statements import ASKED, SHOWN
from irg_core.corpora import procedural
from irg_core.dialogue import SENTINEL
from irg_core.files import write_json, write_text
from irg_core.llm.chat import ChatRequest
from irg_core.llm.kinematic import MODEL, Provider, Settings
from irg_core.llm.wording import lexicon
from irg_core.motion import features
from irg_core.motion.acts import perform
from irg_core.motion.differences import differences
from irg_core.motion.synthesis import Act
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption, Pair, Rejection
from irg_core.records.motion import Clip, Facts, Phase, Take
from irg_core.seeds import rng
from irg_core.tables import read

ROOT = Path(__file__).parents[1]
GRAMMAR = ROOT / "irg_core/corpora/procedural.yaml"
RESULTS = ROOT / "benchmarks/results"
CMU = ROOT / "../shared/data/cmu"
CLIPS, SEED = 160, 90211  # not the demo's seed
PRINTED = 30
PAPER = {"assessment": "38 (81)", "refinement": "29 (66)"}
OTHER = {"left": "right", "right": "left", "both": "left", "forward": "backward", "backward": "forward"}
NAN = math.nan
WAY = 0.1
"""Share by which a way may be measured wrong."""
_METERS = re.compile(r"about (\w+)( and a half)? meters?")

Tally = dict[str, Counter[tuple[str, str]]]  # text -> (kind of claim, verdict) -> how often


@dataclass(frozen=True, slots=True)
class Case:
    """A synthesised motion, with what it was told to do and what was measured in it."""

    name: str
    told: list[Phase]
    measured: Facts


@dataclass(frozen=True, slots=True)
class Text:
    """One text of the annotator, and the goal that it is about, if it is about one."""

    kind: str
    text: str
    goal: str


def main() -> None:
    limits = section("kinematics", KinematicsParams)
    recorded = {name: believed(clips, limits) for name, clips in recordings().items()}
    takes = list(procedural.read(GRAMMAR, clips=CLIPS, seed=SEED))
    told, tally, verdicts = judged_by_truth(takes, limits)
    result = {"clips": CLIPS, "seed": SEED, "claims": as_rows(tally), "verdicts": verdicts, "recorded": recorded,
              "variety": variety(told)}  # fmt: skip
    write_json(RESULTS / "kinematic_texts.json", result)
    write_text(RESULTS / "kinematic_texts.md", page(result, told))
    print((RESULTS / "kinematic_texts.md").read_text())


# --- procedural motions -----------------------------------------------------------------------------------------------


def judged_by_truth(
    takes: Sequence[Take], limits: KinematicsParams
) -> tuple[list[Text], Tally, dict[str, dict[str, int]]]:
    """All texts about these takes, their statements by verdict, and how often flaws were seen at all, by kind."""
    told: list[Text] = []
    tally: Tally = {kind: Counter() for kind in ("caption", "analysis", "assessment", "refinement")}
    verdicts: dict[str, dict[str, int]] = {}
    cases = [case(take.name, truth(take), take.joints, limits) for take in takes]
    for number, (take, own) in enumerate(zip(takes, cases, strict=True)):
        known = Known((), own.told)
        for text in described(own, limits):
            told.append(Text("caption", text, ""))
            count(tally["caption"], text, SHOWN, known)
            for verdict in ways(text, own.told):
                tally["caption"]["distance in meters", verdict] += 1
        for index, asked in enumerate(demands(take, own.told)):
            goal = take.captions[index].text
            for text in analysed(goal):
                told.append(Text("analysis", text, goal))
                count(tally["analysis"], text, ASKED, Known(asked, own.told))
        goal, asked = take.captions[0].text, next(demands(take, own.told))
        stranger = cases[(number + 7) % len(cases)]
        for kind, shown in [("none", own), *altered(own, limits), ("another motion", stranger)]:
            said = judgement(goal, own.measured, shown.measured, limits)
            is_wrong = bool(differences(asked, shown.told, limits))
            row = verdicts.setdefault(kind, Counter(shown=0, right=0))
            row["shown"] += 1
            row["right"] += is_wrong == (said["refinement"] != SENTINEL)
            for part, of in (("assessment", SHOWN), ("refinement", ASKED)):
                if said[part] != SENTINEL:
                    told.append(Text(part, said[part], goal))
                    count(tally[part], said[part], of, Known(asked, shown.told))
    return told, tally, verdicts


def count(tally: Counter[tuple[str, str]], text: str, of: str, known: Known) -> None:
    for found in grounding.findings(text, of, known):
        tally[found.statement.kind, found.verdict] += 1
        if found.verdict == grounding.CONTRADICTED and "-v" in sys.argv:
            print(f"{found.statement.kind}: {found.told} | {text}")


def ways(text: str, told: Sequence[Phase]) -> Iterator[str]:
    """Verdicts on how far a caption says that somebody goes, which the reader of statements leaves open."""
    for words, half in _METERS.findall(text):
        meters = lexicon.NUMBERS.index(words) + 0.5 * bool(half)
        # It is said to half a metre, so it may be a quarter of a metre off.
        close = any(abs(meters - phase.distance) <= 0.25 + WAY * phase.distance for phase in told)
        yield grounding.SUPPORTED if close else grounding.CONTRADICTED


def truth(take: Take) -> list[Phase]:
    return verify.known_phases(json.loads(take.truth)["phases"])


def demands(take: Take, told: Sequence[Phase]) -> Iterator[list[Phase]]:
    """What each caption asks for: its acts, but for what it leaves open, and for what is only usual."""
    for opened in json.loads(take.truth)["open"]:
        number, _, attribute = opened.partition(".")
        yield [_asked(phase, attribute if number == str(place) else "") for place, phase in enumerate(told)]


def _asked(phase: Phase, hidden: str) -> Phase:
    said = {name: "" for name in ("speed", "amplitude") if getattr(phase, name) == "normal"}
    empty: dict[str, Any] = {"turn": NAN, "count": 0, "distance": NAN, "start": NAN, "end": NAN}
    open_now = {name: empty[name] for name in ("start", "end", "distance")} | said
    if hidden:
        open_now[hidden] = empty.get(hidden, "")
    if hidden == "direction":
        open_now["turn"] = abs(phase.turn)
    return replace(phase, **open_now)


def case(name: str, told: list[Phase], joints: np.ndarray, limits: KinematicsParams) -> Case:
    return Case(name, told, facts(name, features.extract(joints), limits))


def altered(own: Case, limits: KinematicsParams) -> Iterator[tuple[str, Case]]:
    """The acts of a take with one thing changed, synthesised anew; one change of each kind that it allows."""
    draw = rng(SEED, "alter", own.name)
    acts = [act(phase) for phase in own.told]
    for kind, changed in _changes(acts, draw):
        performance = perform(changed, rng(SEED, "perform", own.name, kind))
        yield kind, case(f"{own.name}~{kind}", performance.phases, performance.joints, limits)


def act(phase: Phase) -> Act:
    turn = 0 if phase.turn != phase.turn else round(phase.turn)
    return Act(phase.action, phase.side, phase.direction, turn, phase.count, phase.speed, phase.amplitude)


def _changes(acts: list[Act], draw: np.random.Generator) -> Iterator[tuple[str, list[Act]]]:
    place = int(draw.integers(len(acts)))
    one = acts[place]

    def changed(**values: Any) -> list[Act]:
        return [*acts[:place], replace(one, **values), *acts[place + 1 :]]

    if one.side:
        yield "side", changed(side=OTHER[one.side])
    if one.direction and one.action in ("walk", "turn", "sidestep"):
        yield "direction", changed(direction=OTHER[one.direction], turn=-one.turn)
    if one.count:
        yield "count", changed(count=one.count % 3 + 1)
    if one.speed:
        yield "speed", changed(speed="slow" if one.speed != "slow" else "fast")
    if one.amplitude:
        yield "amplitude", changed(amplitude="small" if one.amplitude != "small" else "large")
    if len(acts) > 1:
        yield "missing", acts[:place] + acts[place + 1 :]
        yield "order", acts[::-1]
    bow, squat = (
        Act("bow", count=1, speed="normal", amplitude="normal"),
        Act("squat", count=1, speed="normal", amplitude="normal"),
    )
    yield "extra", [*acts, squat if acts[-1].action == "bow" else bow]


# --- the annotator ----------------------------------------------------------------------------------------------------

_PROVIDER = Provider(MODEL, Settings())


def reply(request: ChatRequest) -> str:
    return asyncio.run(_PROVIDER.complete(request)).text


def described(own: Case, limits: KinematicsParams) -> list[str]:
    params = section("describe", DescribeParams)
    requests = describe.questions([Said(own.name, [])], [own.measured], params, version(limits))
    return [json.loads(reply(request))["caption"] for request in requests]


def analysed(goal: str) -> list[str]:
    (request,) = analyse.questions([caption(goal)], section("analyse", AnalyseParams))
    said = json.loads(reply(request))
    return [*said["paraphrases"], said["detailed"]]


def judgement(goal: str, own: Facts, shown: Facts, limits: KinematicsParams) -> dict[str, str]:
    params = section("assess", AssessParams)
    pair = pair_of(goal, own.clip_id, shown.clip_id, "edit")
    (request,) = assess.questions([pair], {own.clip_id: own, shown.clip_id: shown}, params, limits)
    said: dict[str, str] = json.loads(reply(request))
    return said


def caption(text: str) -> Caption:
    return Caption(f"c/{text}", "c", 0, text, "", "source")


def pair_of(goal: str, clip_id: str, motion_id: str, source: str) -> Pair:
    said = f"{clip_id}/{goal}"
    return Pair(f"{said}|{motion_id}", said, clip_id, goal, motion_id, source, source, "{}", 1.0)


# --- recorded motions -------------------------------------------------------------------------------------------------


def recordings() -> dict[str, list[Clip]]:
    """The clips of the corpora of people, as far as they are there."""
    found = {}
    if (built := Path("data/clips/deepmimic.parquet")).exists():
        found["deepmimic"] = read(built, Clip)
    if CMU.exists():
        found["cmu"] = ingested(CMU.resolve())
    return found


def ingested(root: Path) -> list[Clip]:
    """The CMU database by way of an entry of `corpora:` and the stage `ingest`."""
    entry = {"format": "cmu", "root": str(root), "captions": "descriptions.csv", "licence": "free but for resale"}
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    params = params.replace("\ncorpora:\n", f"\ncorpora:\n  cmu: {json.dumps(entry)}\n", 1)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "params.yaml").write_text(params, encoding="utf-8")
        tables = ("clips.parquet", "rejections.parquet", "findings.parquet")
        command = [sys.executable, "-m", "pipelines", "ingest", "cmu", str(root), *tables]
        subprocess.run(command, cwd=name, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
        return read(Path(name) / "clips.parquet", Clip)


def believed(clips: Sequence[Clip], limits: KinematicsParams) -> dict[str, dict[str, int]]:
    """Of the texts about recorded motions: how many were asked for, and how many `verify` believes."""
    rows: dict[str, dict[str, int]] = {}
    measured = describe.measure(clips, limits)
    of_clip = {row.clip_id: row for row in measured}
    named = [clip.clip_id for clip in clips]

    def note(kind: str, is_believed: bool) -> None:
        row = rows.setdefault(kind, Counter(asked=0, believed=0))
        row["asked"] += 1
        row["believed"] += is_believed

    for request in describe.questions(clips, measured, section("describe", DescribeParams), version(limits)):
        note("caption", not isinstance(describe.read(request, reply(request)), Rejection))
    for number, clip in enumerate(clips):
        goals = [said.text for said in clip.captions]
        for request in analyse.questions(map(caption, goals), section("analyse", AnalyseParams)):
            note("analysis", not isinstance(analyse.read(request, reply(request)), Rejection))
        for goal in goals[:1]:
            shown = [("goal", clip.clip_id), ("retrieval", named[(number + 5) % len(named)])]
            for source, motion in shown:
                fate = verified(pair_of(goal, clip.clip_id, motion, source), of_clip, limits)
                if fate is not None:
                    note(f"judgement of {'the goal motion' if source == 'goal' else 'another motion'}", fate)
    return rows


def verified(pair: Pair, measured: dict[str, Facts], limits: KinematicsParams) -> bool | None:
    """Whether a judgement passes; None where nobody can tell what the goal asks for, so that nothing is asked."""
    asked = demand(pair.goal, measured[pair.clip_id].phases)
    if not asked:
        return None
    (request,) = assess.questions([pair], measured, section("assess", AssessParams), limits)
    said = assess.read(request, reply(request))
    if isinstance(said, Rejection):
        return False
    fate = verify.check(said, pair, asked, measured[pair.motion_id], section("verify", verify.VerifyParams), limits)
    return not isinstance(fate, Rejection)


# --- tables -----------------------------------------------------------------------------------------------------------


def as_rows(tally: Tally) -> list[dict[str, Any]]:
    rows = []
    for text, counts in tally.items():
        for kind in sorted({kind for kind, _ in counts}):
            true, false, open_ = (
                counts[kind, verdict]
                for verdict in (grounding.SUPPORTED, grounding.CONTRADICTED, grounding.UNVERIFIABLE)
            )
            share = round(true / (true + false), 4) if true + false else None
            rows.append({"text": text, "claim": kind, "true": true, "false": false, "open": open_, "share": share})
    return rows


def variety(told: Sequence[Text]) -> dict[str, dict[str, float]]:
    """How long the texts are, and how different from one another."""
    found = {}
    for kind in dict.fromkeys(text.kind for text in told):
        texts = [text.text for text in told if text.kind == kind]
        words = [text.lower().rstrip(".").split() for text in texts]
        pairs = [pair for said in words for pair in pairwise(said)]
        sentences = [one for text in texts for one in text.rstrip(".").split(". ")]
        found[kind] = {
            "texts": len(texts),
            "words": round(float(np.mean([len(said) for said in words])), 1),
            "longest": max(len(said) for said in words),
            "distinct_2": round(len(set(pairs)) / len(pairs), 4),
            "unique_texts": round(len(set(texts)) / len(texts), 3),
            "unique_sentences": round(len(set(sentences)) / len(sentences), 3),
            "openings": len({tuple(said[:3]) for said in words}),
        }
    return found


def page(result: dict[str, Any], told: Sequence[Text]) -> str:
    lines = [
        f"The `kinematic` annotator on {CLIPS} procedural motions (seed {SEED}): its statements against the parameters",
        "of the synthesiser, which it never sees. `open` statements are of things that the parameters do not decide.",
        "",
        "| text | claim | true | false | open | true of what can be told |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in result["claims"]:
        share = f"{row['share']:.3f}" if row["share"] is not None else "–"
        lines.append(f"| {row['text']} | {row['claim']} | {row['true']} | {row['false']} | {row['open']} | {share} |")
    lines += ["", "| motion shown | judged | rightly found wanting, or not |", "|---|--:|--:|"]
    for kind, row in result["verdicts"].items():
        lines.append(f"| {kind} | {row['shown']} | {row['right'] / row['shown']:.3f} |")
    lines += ["", "| corpus | text | asked | believed by `verify` |", "|---|---|--:|--:|"]
    for corpus, rows in result["recorded"].items():
        for kind, row in rows.items():
            lines.append(f"| {corpus} | {kind} | {row['asked']} | {row['believed'] / row['asked']:.3f} |")
    lines += [
        "",
        "| text | texts | words (longest) | the paper's | distinct-2 | unique texts | unique sentences | openings |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, row in result["variety"].items():
        length = f"{row['words']:.0f} ({row['longest']})"
        different = f"{row['distinct_2']:.3f} | {row['unique_texts']:.3f} | {row['unique_sentences']:.3f}"
        lines.append(
            f"| {kind} | {row['texts']} | {length} | {PAPER.get(kind, '')} | {different} | {row['openings']} |"
        )
    lines += ["", f"{PRINTED} texts, drawn:", ""]
    draw = rng(SEED, "printed")
    for place in sorted(draw.choice(len(told), size=PRINTED, replace=False).tolist()):
        text = told[place]
        lines.append(f"- {text.kind}: {text.text}" + (f" (goal: {text.goal})" if text.goal else ""))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
