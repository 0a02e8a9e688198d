"""Before any trace is trained: can a model read goals and motions, judge, and do as it is told? Refining rests on it.

`python -m benchmarks.claim_gates data/models/stage1` prints the gates of a model that was trained on the eight tasks,
`… data/models/stage2 trace` those of one that writes traces, as JSON. All goals are of the val split, all truth is
measured:

- *analysis*: what the model says that a goal asks for, held against what its words do ask for, and what its first
  motion makes of either (does a trace lose the goal before it moves, or by moving?);
- *recognition*: captions of real motions, read back into phases and held against the facts;
- *judgement*: how likely "No refinements needed." is for right motions and for flawed ones: the area under the curve,
  and how often the model says it;
- *obedience*: a flawed motion and the true instruction, against the same motion without one, with that of another goal
  (does the answer follow the instruction, or the goal?), and against another flawed motion with the same instruction
  (does the answer follow the draft?).
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from irg_core import dialogue
from irg_core.annotate import claims
from irg_core.annotate.asking import plain
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import facts
from irg_core.dialogue import SENTINEL
from irg_core.files import write_json
from irg_core.llm import kinematic
from irg_core.models.decoding import Answer, Mode, Sampling, generate
from irg_core.models.language import Language
from irg_core.models.scoring import log_probs
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import names, section
from irg_core.records.annotation import Analysis, Caption, Flawed, Pair, visible_captions
from irg_core.records.motion import Facts, MotionTokens, Phase, Split
from irg_core.seeds import derive, rng
from irg_core.tables import read, read_all
from irg_core.tasks import analyse, instruct, refine, refine_instructed
from irg_core.tasks import caption as telling
from irg_core.tasks import generate as generating

Kind = Literal["composed", "trace"]
SEED, BATCH, GOALS = 17, 64, 160
WANTED = {
    "random rejected": 0.95,
    "accepted: own right less own wrong": 0.4,
    "gained by the true instruction": 0.05,
}
"""What a prototype of this method found to be needed before refinement can pay."""


@dataclass(frozen=True)
class Case:
    """A goal, and a motion that is shown for it."""

    key: str
    goal: str
    asked: list[Phase]
    codes: list[int]
    phases: list[Phase]

    def missed(self, limits: KinematicsParams) -> list[Any]:
        return list(differences(self.asked, self.phases, limits))


@dataclass(frozen=True)
class World:
    """The built tables that gates are made from; val goals only."""

    tokenizer: MotionTokenizer
    limits: KinematicsParams
    own: list[Case]  # goals with their own motions
    analyses: Mapping[str, str]

    @classmethod
    def load(cls, goals: int) -> "World":
        corpora, limits = names("corpora"), section("kinematics", KinematicsParams)
        val = [row for row in read(Path("data/splits.parquet"), Split) if row.split == "val"]
        inside = {row.clip_id for row in val}
        captions = visible_captions(read_all(Path("data/captions"), corpora, Caption), val)
        known = {row.clip_id: row for row in read_all(Path("data/facts"), corpora, Facts) if row.clip_id in inside}
        codes = {row.clip_id: row.tokens for row in read_all(Path("data/tokens"), corpora, MotionTokens)}
        analyses = read_all(Path("data/analyses"), corpora, Analysis)
        own = [
            Case(said[0].caption_id, said[0].text, asked, codes[clip], known[clip].phases)
            for clip, said in sorted(captions.items(), key=lambda item: derive(SEED, "gates", item[0]))
            if codes.get(clip) and (asked := demand(said[0].text, known[clip].phases))
        ]
        kept = {row.caption_id: row.analysis for row in analyses}
        right = [case for case in own if not case.missed(limits)][:goals]
        return cls(MotionTokenizer.load(Path("data/models/tokenizer")), limits, right, kept)

    def analysis(self, case: Case) -> str:
        """The one that the data engine has of this goal, or the measuring annotator's."""
        return self.analyses.get(case.key) or kinematic.analyse(
            {"asked": plain(case.asked), "goal": case.goal}, rng(SEED, "analysis", case.key)
        )["analysis"]  # fmt: skip

    def seen(self, key: str, codes: list[int]) -> list[Phase]:
        """What measurement finds in a motion once it is decoded."""
        (rows,) = self.tokenizer.decode([codes or [0]])
        return facts(key, rows, self.limits).phases

    def judged(self, case: Case, key: str) -> tuple[str, str]:
        """The measuring judge's assessment and instruction."""
        payload = {
            "goal": case.goal, "asked": plain(case.asked), "shown": plain(case.phases), "measures": [],
            "differences": [asdict(one) for one in case.missed(self.limits)], "sentinel": SENTINEL,
        }  # fmt: skip
        said = kinematic.assess(payload, rng(SEED, "judged", key))
        return said["assessment"], said["refinement"]


class Model:
    """A model of the eight tasks, or one that writes traces: asked the same things in its own way."""

    def __init__(self, folder: Path, kind: Kind, world: World) -> None:
        self.language, self.kind, self.world = Language.load(folder), kind, world
        self.sampling = section("evaluate.sampling", Sampling)
        self._traces = dict[str, Answer]()  # of its own, by goal

    def _said(
        self, prompts: Mapping[str, str], mode: Mode, begun: Mapping[str, str] | None = None, rounds: int = 1
    ) -> dict[str, Answer]:
        vocabulary = self.language.vocabulary
        starts = {key: vocabulary.encode(text) for key, text in begun.items()} if begun else None
        # What is put into the model's mouth counts as said: only the model's positions may end it.
        sampling = replace(self.sampling, max_rounds=rounds, max_tokens=self.language.positions)
        return generate(self.language, prompts, mode, sampling, starts)

    def _own(self, cases: Sequence[Case]) -> dict[str, Answer]:
        """Traces of its own, up to the first judgement; several gates read them, and they are made once."""
        new = {case.key: dialogue.prompt(case.goal) for case in cases if case.key not in self._traces}
        self._traces |= self._said(new, "enforced")
        return {case.key: self._traces[case.key] for case in cases}

    def generates(self, cases: Sequence[Case], analyses: Mapping[str, str] | None = None) -> dict[str, list[int]]:
        """Its own first motions; in traces after its own analyses, or after these."""
        if self.kind != "trace":
            return self.generates_directly(cases)
        if analyses is None:
            answers = self._own(cases)
        else:
            begun = {key: _opening(analysis) for key, analysis in analyses.items()}
            answers = self._said({case.key: dialogue.prompt(case.goal) for case in cases}, "enforced", begun)
        return {key: answer.motions(self.language.vocabulary)[0] for key, answer in answers.items()}

    def generates_directly(self, cases: Sequence[Case]) -> dict[str, list[int]]:
        """Motions for the prompt of the task `generate`, which a model of traces was once trained on too."""
        answers = self._said({c.key: generating.TEMPLATES[0].format(goal=c.goal) for c in cases}, "motion")
        return {key: answer.motions(self.language.vocabulary)[0] for key, answer in answers.items()}

    def analyses(self, cases: Sequence[Case]) -> dict[str, str]:
        """What it says that the goals ask for."""
        if self.kind == "trace":
            said = {key: answer.text for key, answer in self._own(cases).items()}
            return {key: text.partition("[analyze]")[2].partition("[/analyze]")[0] for key, text in said.items()}
        prompts = {case.key: analyse.TEMPLATES[0].format(goal=case.goal) for case in cases}
        return {key: answer.text.strip() for key, answer in self._said(prompts, "text").items()}

    def captions(self, cases: Sequence[Case]) -> dict[str, str]:
        prompts = {case.key: telling.TEMPLATES[0].format(motion=dialogue.motion(case.codes)) for case in cases}
        return {key: answer.text for key, answer in self._said(prompts, "text").items()}

    def verdicts(self, cases: Sequence[Case]) -> dict[str, tuple[float, bool]]:
        """ln p of "No refinements needed.", and whether the model says so."""
        vocabulary = self.language.vocabulary
        if self.kind == "trace":
            prompts = {case.key: dialogue.prompt(case.goal) for case in cases}
            begun = {case.key: self._begun(case) for case in cases}
            texts = {key: answer.text for key, answer in self._said(prompts, "enforced", begun).items()}
            mark = dialogue.REFINEMENT.rstrip(" ")
            rests = {key: text.removeprefix(begun[key]) for key, text in texts.items()}
            before = {
                key: [*vocabulary.chat(prompts[key]), *vocabulary.encode(begun[key] + rest.partition(mark)[0] + mark)]
                for key, rest in rests.items()
            }
            likely = log_probs(self.language, before, vocabulary.encode(f" {SENTINEL}[/assess]"), BATCH)
            return {
                key: (likely[key], rest.partition(mark)[2].strip().startswith(SENTINEL)) for key, rest in rests.items()
            }
        prompts = {c.key: instruct.TEMPLATES[0].format(goal=c.goal, motion=dialogue.motion(c.codes)) for c in cases}
        said = self._said(prompts, "text")
        before = {key: vocabulary.chat(prompt) for key, prompt in prompts.items()}
        likely = log_probs(self.language, before, [*vocabulary.encode(SENTINEL), vocabulary.end], BATCH)
        return {key: (likely[key], said[key].text.strip() == SENTINEL) for key in prompts}

    @torch.inference_mode()
    def likelihoods(self, cases: Sequence[Case]) -> list[float]:
        """ln p of each motion as the answer to its goal, a code: what the model knows, whatever it says."""
        vocabulary, model, found = self.language.vocabulary, self.language.model.eval(), []
        for case in cases:
            before = vocabulary.chat(generating.TEMPLATES[0].format(goal=case.goal))
            said = vocabulary.encode(dialogue.motion(case.codes))
            logits = model(input_ids=torch.tensor([[*before, *said]])).logits[0, len(before) - 1 : -1]
            likely = torch.log_softmax(logits.float(), dim=1).gather(1, torch.tensor(said)[:, None])
            found.append(float(likely.mean()))
        return found

    def refines(self, cases: Sequence[Case], told: Mapping[str, tuple[str, str]] | None) -> dict[str, list[int]]:
        """Better motions, as `told` (an assessment and an instruction by key), or as the model thinks best."""
        if self.kind == "trace":
            prompts = {case.key: dialogue.prompt(case.goal) for case in cases}
            begun = {
                case.key: self._begun(case) + _judged(told[case.key]) if told else self._begun(case) for case in cases
            }
            answers = self._said(prompts, "enforced", begun, rounds=2)
        else:
            prompts = {case.key: _asked(case, told) for case in cases}
            answers = self._said(prompts, "motion")
        return {key: answer.motions(self.language.vocabulary)[-1] for key, answer in answers.items()}

    def _begun(self, case: Case) -> str:
        """All of a trace up to the first motion, which is the case's, not the model's."""
        return f"{_opening(self.world.analysis(case))}[generate]{dialogue.motion(case.codes)}[/generate]"


def _opening(analysis: str) -> str:
    """A trace's text up to its first motion."""
    return dialogue.segments(dialogue.Trace(analysis, ()))[0].text


def _judged(told: tuple[str, str]) -> str:
    assessment, refinement = told
    judged = f"{dialogue.ASSESSMENT}{assessment}{dialogue.REFINEMENT}{refinement}"
    plans = dialogue.PLANS
    return f"[plan]{plans['assess']}[/plan][assess]{judged}[/assess][plan]{plans['refine']}[/plan]"


def _asked(case: Case, told: Mapping[str, tuple[str, str]] | None) -> str:
    shown = dialogue.motion(case.codes)
    if told is None:
        return refine.TEMPLATES[0].format(goal=case.goal, motion=shown)
    return refine_instructed.TEMPLATES[0].format(goal=case.goal, motion=shown, instruction=told[case.key][1])


# ---- the gates -------------------------------------------------------------------------------------------------------


def analysis(model: Model, own: Sequence[Case]) -> dict[str, float]:
    """How often goals are analysed to the letter, and how many first motions do what their goal asks for; `own` are the
    model's first tries."""
    world = model.world
    cases = [case for case in own if case.key in world.analyses]
    true = {case.key: world.analyses[case.key] for case in cases}
    said = model.analyses(cases)
    found = {"analysed to the letter": _share([said[key] == true[key] for key in true])}
    tried_right = _share([not case.missed(world.limits) for case in cases])
    if model.kind == "composed":
        return found | {"fulfilled when asked directly": tried_right}
    return found | {
        "fulfilled when asked directly": _fulfilled(cases, model.generates_directly(cases), world),
        "fulfilled after its own analysis": tried_right,
        "fulfilled after the true analysis": _fulfilled(cases, model.generates(cases, true), world),
    }


def recognition(model: Model, world: World) -> dict[str, float]:
    """How much of what is said of real motions is so. Actions are compared as sets, the rest by `differences`."""
    said = model.captions(world.own)
    read_back = {case.key: claims.claims(said[case.key]) for case in world.own}
    same = [_actions(read_back[case.key]) == _actions(case.phases) for case in world.own]
    true = [
        bool(read_back[case.key]) and not differences(read_back[case.key], case.phases, world.limits)
        for case in world.own
    ]
    return {"actions named": _share(same), "captions true": _share(true)}


def _actions(phases: Iterable[Phase]) -> list[str]:
    return sorted({phase.action for phase in phases} - {"stand"})


def judgement(model: Model, groups: Mapping[str, Sequence[Case]], own: Sequence[Case]) -> dict[str, float]:
    """Right motions against each group of flawed ones; `own` are the model's first tries, right and wrong."""
    limits = model.world.limits
    right = model.verdicts(model.world.own)
    high = [likely for likely, _ in right.values()]
    known = model.likelihoods(model.world.own)
    found = {"accepted: right": _share([said for _, said in right.values()])}
    for name, cases in groups.items():
        judged = model.verdicts(cases) if cases else {}
        found[f"accepted: {name}"] = _share([said for _, said in judged.values()])
        found[f"AUC: {name}"] = auc(high, [likely for likely, _ in judged.values()])
        found[f"AUC by likelihood: {name}"] = auc(known, model.likelihoods(cases))
    found["random rejected"] = round(1.0 - found["accepted: random"], 3)
    tried = model.verdicts(own)
    good = {case.key for case in own if not case.missed(limits)}
    split = {is_good: [tried[case.key] for case in own if (case.key in good) == is_good] for is_good in (True, False)}
    accepted = {is_good: _share([said for _, said in rows]) for is_good, rows in split.items()}
    found |= {"accepted: own right": accepted[True], "accepted: own wrong": accepted[False]}
    found["accepted: own right less own wrong"] = round(accepted[True] - accepted[False], 3)
    found["AUC: own"] = auc(*([likely for likely, _ in split[is_good]] for is_good in (True, False)))
    return found


def auc(high: Sequence[float], low: Sequence[float]) -> float:
    """How often a right motion is likelier to be accepted than a flawed one; ties count half, 0.5 is chance."""
    if not (high and low):
        return 0.5
    one, two = np.array(high)[:, None], np.array(low)
    return round(float((one > two).mean() + (one == two).mean() / 2), 3)


def obedience(model: Model, flawed: Sequence[Case]) -> dict[str, float]:
    """What becomes of flawed motions under true, no, and foreign instructions, and of a foreign draft."""
    world = model.world
    beside = [
        (one, _other_goal(one, [*flawed[place + 1 :], *flawed[:place]], world)) for place, one in enumerate(flawed)
    ]
    flawed, others = [one for one, other in beside if other], [other for _, other in beside if other]
    if not flawed:
        return {}
    told = {case.key: world.judged(case, case.key) for case in flawed}
    # What another goal would have said of this very motion: an instruction that leads elsewhere.
    foreign = {
        one.key: world.judged(replace(one, goal=other.goal, asked=other.asked), f"{one.key} {other.key}")
        for one, other in zip(flawed, others, strict=True)
    }
    swapped = [replace(one, codes=other.codes) for one, other in zip(flawed, others, strict=True)]
    elsewhere = [replace(one, asked=other.asked) for one, other in zip(flawed, others, strict=True)]
    as_told, alone = model.refines(flawed, told), model.refines(flawed, None)
    misled, other_draft = model.refines(flawed, foreign), model.refines(swapped, told)
    before = _share([not case.missed(world.limits) for case in flawed])
    fulfilled = {
        "with the true instruction": _fulfilled(flawed, as_told, world),
        "without instruction": _fulfilled(flawed, alone, world),
        "generated afresh": _fulfilled(flawed, model.generates(flawed), world),
        "true instruction, another's draft": _fulfilled(flawed, other_draft, world),
        "another's instruction: the goal": _fulfilled(flawed, misled, world),
        "another's instruction: the other goal": _fulfilled(elsewhere, misled, world),
    }
    return {
        "fulfilled before": before,
        **{f"fulfilled {name}": value for name, value in fulfilled.items()},
        "gained by the true instruction": round(
            fulfilled["with the true instruction"] - fulfilled["without instruction"], 3
        ),
        "codes that differ with another's draft": _apart(as_told, other_draft),
        "codes that differ with another's instruction": _apart(as_told, misled),
    }


def _other_goal(case: Case, others: Iterable[Case], world: World) -> Case | None:
    """The first of `others` for whose goal the motion of `case` is wrong too: it has an instruction to give."""
    return next((other for other in others if replace(case, asked=other.asked).missed(world.limits)), None)


def _fulfilled(cases: Sequence[Case], motions: Mapping[str, list[int]], world: World) -> float:
    decoded = world.tokenizer.decode([motions[case.key] or [0] for case in cases])
    seen = [facts(case.key, rows, world.limits).phases for case, rows in zip(cases, decoded, strict=True)]
    return _share([not differences(case.asked, phases, world.limits) for case, phases in zip(cases, seen, strict=True)])


def _apart(one: Mapping[str, list[int]], two: Mapping[str, list[int]]) -> float:
    """Mean share of places at which two motions have different codes; places that only one has count."""
    found = [
        1.0 - sum(a == b for a, b in zip(one[key], two[key], strict=False)) / max(len(one[key]), len(two[key]), 1)
        for key in one
    ]
    return round(float(np.mean(found)), 3) if found else 0.0


def _share(hits: Sequence[bool]) -> float:
    return round(float(np.mean(hits)), 3) if len(hits) else 0.0


def flawed_groups(world: World, corpora: Sequence[str]) -> dict[str, list[Case]]:
    """Flawed val motions by where they are from, and motions of other goals, all of them measurably wrong."""
    goals = {case.key: case for case in world.own}
    made = {row.motion_id: row for row in read_all(Path("data/flawed"), corpora, Flawed)}
    groups: dict[str, list[Case]] = {"random": [], "edit": [], "rollout": []}
    for pair in read_all(Path("data/pairs"), corpora, Pair):
        if pair.source in groups and (goal := goals.get(pair.caption_id)) and (flaw := made.get(pair.motion_id)):
            groups[pair.source].append(
                replace(goal, key=f"{goal.key}|{pair.motion_id}", codes=flaw.tokens, phases=flaw.phases)
            )
    step = max(1, len(world.own) // 2)
    for place, case in enumerate(world.own):
        other = world.own[(place + step) % len(world.own)]
        groups["random"].append(replace(case, key=f"{case.key}|random", codes=other.codes, phases=other.phases))
    return {name: [case for case in cases if case.missed(world.limits)] for name, cases in groups.items()}


def tried(model: Model) -> list[Case]:
    """The model's own greedy motions for the val goals, measured."""
    world = model.world
    motions = model.generates(world.own)
    return [
        replace(case, codes=motions[case.key], phases=world.seen(case.key, motions[case.key])) for case in world.own
    ]


def gates(folder: Path, kind: Kind, goals: int) -> dict[str, Any]:
    """All four, and which of `WANTED` are passed."""
    world = World.load(goals)
    model = Model(folder, kind, world)
    own = tried(model)
    groups = flawed_groups(world, names("corpora"))
    judged = judgement(model, groups, own)
    wrong = [case for case in own if case.missed(world.limits)]
    obeyed = obedience(model, wrong) if len(wrong) > 1 else {}
    found = judged | obeyed
    return {
        "model": folder.name, "goals": len(world.own), "own right": len(own) - len(wrong),
        "analysis": analysis(model, own),
        "recognition": recognition(model, world) if kind == "composed" else {},
        "judgement": judged, "obedience": obeyed,
        "passed": {name: found.get(name, 0.0) >= least for name, least in WANTED.items()},
    }  # fmt: skip


if __name__ == "__main__":
    asked: Kind = "trace" if "trace" in sys.argv[2:] else "composed"
    found = gates(Path(sys.argv[1]), asked, GOALS)
    if sys.argv[-1].endswith(".json"):
        write_json(Path(sys.argv[-1]), found)
    print(json.dumps(found, indent=1))
