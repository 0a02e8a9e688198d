"""Captions written from measured facts."""

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irg_core.annotate import describe
from irg_core.annotate.describe import DescribeParams
from irg_core.annotate.facts import version
from irg_core.llm.chat import ChatRequest
from irg_core.llm.kinematic import MODEL, Provider, Settings
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption
from irg_core.records.motion import Clip, Facts, Phase, SourceCaption
from tests.test_dag import closure

PARAMS = DescribeParams(provider="kinematic", model=MODEL, seed=1, attempts=1, batch=8, facts_shown=4)
ODD = Phase("other", 0, 1, "", "", math.nan, 0, "", "", 0)
JUMP = Phase("jump", 0, 1, "", "forward", math.nan, 2, "", "large", 0.4)


def clip(name: str, *captions: str) -> Clip:
    said = [SourceCaption(text, "") for text in captions]
    return Clip(name, "c", name, "", np.zeros((0, 263), dtype=np.float32), said, "")


def asked(phases: dict[str, list[Phase]], *captions: str) -> list[ChatRequest]:
    rows = [Facts(name, 1, told) for name, told in phases.items()]
    return list(describe.questions([clip(name, *captions) for name in phases], rows, PARAMS, "v1"))


def test_a_clip_of_unknown_motion_gets_no_caption_written() -> None:
    requests = asked({"a": [], "b": [ODD], "c": [JUMP, ODD], "d": [JUMP]})
    assert [request.origin.clip_id for request in requests] == ["d"]


def test_a_written_caption_stands_behind_those_that_came_with_the_clip() -> None:
    (request,) = asked({"c/1": [JUMP]}, "he leaps.", "two hops.")
    written = describe.read(request, asyncio.run(Provider(MODEL, Settings()).complete(request)).text)
    assert isinstance(written, Caption)
    assert (written.caption_id, written.clip_id, written.index) == ("c/1/2", "c/1", 2)
    assert [caption.text for caption in describe.source_captions([clip("c/1", "he leaps.")])] == ["he leaps."]


def test_a_written_caption_knows_where_it_came_from() -> None:
    (request,) = asked({"c/1": [JUMP]})
    written = describe.read(request, '{"caption": "someone jumps."}')
    assert isinstance(written, Caption)
    origin = written.origin
    assert (origin.clip_id, origin.facts, origin.prompt, origin.provider, origin.model, origin.seed) == (
        "c/1", "v1", "describe.md", "kinematic", MODEL, 1,
    )  # fmt: skip


def test_of_a_caption_only_what_was_measured_is_in_the_payload() -> None:
    (request,) = asked({"c/1": [JUMP]}, "a secret sentence")
    assert "secret" not in request.prompt + json.dumps(request.payload)


def test_the_version_of_the_facts_changes_with_their_limits() -> None:
    limits = section("kinematics", KinematicsParams)
    other = replace(limits, resting=replace(limits.resting, still=limits.resting.still + 0.01))
    assert version(limits) == version(limits) != version(other)


def test_the_version_of_the_facts_covers_every_module_that_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    from irg_core.annotate import facts

    read: list[str] = []
    text = Path.read_text

    def overheard(path: Path, *args: object, **named: object) -> str:
        read.append(path.name)
        return text(path, encoding="utf-8")

    monkeypatch.setattr(Path, "read_text", overheard)
    facts._rules.cache_clear()
    facts._rules()
    monkeypatch.undo()
    measuring = closure([Path("irg_core/motion/kinematics.py").resolve()]) | {"irg_core/motion/kinematics.py"}
    assert {f"irg_core/motion/{name}" for name in read} == {
        path for path in measuring if "/motion/" in path and "records" not in path
    }
