"""A local annotator: words measured facts by a small grammar, without a network and without a model.

It stands where a language model would: the same requests, the same JSON back. What it says is as true as the facts
behind the request, and worded differently from row to row by the request's seed.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from irg_core.errors import ParamsError
from irg_core.llm.chat import ChatRequest, Reply
from irg_core.llm.limits import NO_LIMITS
from irg_core.llm.wording import captions, judgements
from irg_core.llm.wording.scene import scene_of
from irg_core.seeds import rng

MODEL, PLAIN = "measured-facts", "measured-facts-plain"
"""Of the two, the second judges in fixed words: first all that is seen, then what is wrong with it. There is less of
language to be learned from it, and so more of motion."""


@dataclass(frozen=True)
class Settings:
    """Nothing to set: it answers here."""


class Provider:
    """Answers every request at once, and the same one always alike."""

    reads_payload = True
    tries = 1
    limits = NO_LIMITS
    notes: ClassVar[dict[str, str]] = {}

    def __init__(self, model: str, settings: Settings) -> None:
        if model not in (MODEL, PLAIN):
            raise ParamsError(f"irg_core/llm/kinematic.py has no model '{model}'; it has: {MODEL}, {PLAIN}")
        self._writers = _WRITERS | ({"assess": assess_plainly} if model == PLAIN else {})
        self.sampling: dict[str, Any] = {}
        self.identity = f"kinematic/{model}/{_source()[:16]}"

    async def complete(self, request: ChatRequest) -> Reply:
        draw = rng(request.seed, request.attempt)
        return Reply(json.dumps(self._writers[request.kind](request.payload, draw), ensure_ascii=False), 0, 0)

    async def close(self) -> None:
        """Nothing is held open."""


def _source() -> str:
    """A hash over the program that answers: another program may answer otherwise."""
    here = Path(__file__)
    files = [here, *sorted((here.parent / "wording").glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def describe(facts: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
    return {"caption": captions.caption(facts["phases"], draw)}


def analyse(facts: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
    """A checklist, three paraphrases and a detailed caption; a goal that the lexicon cannot read is only passed on."""
    asked = facts["asked"]
    if not asked or any(phase["action"] == "other" for phase in asked):
        return passed_on(facts["goal"])
    return {
        "analysis": captions.analysis(asked),
        "paraphrases": captions.paraphrases(asked, draw),
        "detailed": captions.detailed(asked, draw),
    }


def passed_on(goal: str) -> dict[str, Any]:
    """The goal in its own words, with another subject where it has one at its head."""
    said = goal.strip().rstrip(".")
    subject = _SUBJECT.match(said)
    if subject is None:
        paraphrases = [
            f"{head} {said}." for head in ("in this motion,", "what is to be seen:", "the motion goes like this:")
        ]
        return {"analysis": f"1. {said}.", "paraphrases": paraphrases, "detailed": f"{said}, with the whole body."}
    deed = said[subject.end() :].strip()
    others = [one for one in captions.NEW if one != subject.group().strip().lower()][:3]
    paraphrases = [f"{other} {deed}." for other in others]
    return {"analysis": f"1. {deed}.", "paraphrases": paraphrases, "detailed": f"a person {deed}, with the whole body."}


_SUBJECT = re.compile(
    r"(?:he|she|they|someone|somebody|one|(?:a|an|the|this|that) (?:person|man|woman|figure|human|character|individual|"
    r"guy|subject|performer|dancer|body))\s",
    re.IGNORECASE,
)


def assess(facts: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
    """What fits, what does not, and what to do about it."""
    scene = scene_of(facts, draw)
    mended = judgements.refinement(scene) if scene.differences else facts["sentinel"]
    return {"assessment": judgements.assessment(scene), "refinement": mended}


def assess_plainly(facts: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
    """What is seen, then what is wrong; the same facts in the same words, whatever is drawn."""
    scene = scene_of(facts, First())
    mended = judgements.refinement(scene) if scene.differences else facts["sentinel"]
    return {"assessment": judgements.plain(scene), "refinement": mended}


class First(np.random.Generator):
    """A lot that always falls on the first."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def integers(self, *_: Any, **__: Any) -> Any:
        return 0

    def random(self, *_: Any, **__: Any) -> Any:
        return 0.0


_WRITERS = {"describe": describe, "analyse": analyse, "assess": assess}
