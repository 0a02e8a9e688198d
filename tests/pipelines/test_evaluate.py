"""`evaluate` as a process with workers: killed at several moments it goes on, and answers nothing twice."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from irg_core.errors import TableError
from irg_core.evaluation.memory import Memory
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
from irg_core.params import section
from irg_core.records.annotation import Caption
from irg_core.records.motion import Clip, Split
from irg_core.seeds import rng
from irg_core.tables import commit, read
from pipelines import evaluate, ingest
from pipelines.evaluate import EvaluateParams, Prepared
from tests.checkouts import ENVIRONMENT, Checkout

OUTS = ["generations.parquet", "probes.parquet", "values.parquet", "scores.json"]
MOMENTS = (("answers", 1), ("answers", 4), ("captions", 2), ("variants", 2), ("probes", 2))
"""Kind and number of the finished batch after which the stage is killed; each time it goes on from those before."""
LOG = "runs/made.txt"
PLANTED = f'''
    _made(place, batch)
    return found


def _made(place: Path, batch: Any) -> None:
    """Notes that a batch is finished, and kills the stage, from a worker, after the one that a test has chosen."""
    import os
    import signal

    kind = "probes"
    if not isinstance(batch, dict):
        mode, prompts = batch
        kind = "captions" if mode == "text" else "variants" if any("|" in key for key in prompts) else "answers"
    with open("{LOG}", "a") as log:
        log.write(f"{{kind}} {{place.name}}\\n")
    with open("{LOG}") as log:
        number = sum(line.startswith(kind) for line in log)
    last, _, which = os.environ.get("KILLED_AFTER", "").partition(" ")
    if kind == last and number >= int(which):
        os.kill(os.getppid(), signal.SIGKILL)
'''


@pytest.fixture
def built(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A project with two dozen test clips and a model of random weights: it knows nothing, but it answers."""
    monkeypatch.chdir(checkout.root)
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["corpora"] = {"made": {"format": "procedural", "root": "", "clips": 24, "seed": 3}}
    params["evaluate"] |= {"free_clips": 6, "probes": {"seed": 1, "clips": 6}}
    params["evaluate"]["variants"] = {"goals": 6, "each": 4, "temperature": 1.0}
    params["evaluate"]["sampling"] |= {"max_tokens": 160, "max_text": 8, "max_rounds": 2, "batch": 6}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    _write_tables()
    _write_models()
    return checkout


def _write_tables() -> None:
    places = [Path("data") / name / "made.parquet" for name in ("clips", "rejections/ingest", "findings")]
    ingest.main("made", Path("irg_core/corpora/procedural.yaml"), *places)
    clips = list(read(places[0], Clip))
    captions = [
        Caption(f"{clip.clip_id}/{index}", clip.clip_id, index, said.text, said.template, "source")
        for clip in clips
        for index, said in enumerate(clip.captions)
    ]
    commit(Path("data/captions/made.parquet"), captions, Caption)
    splits = [Split(clip.clip_id, "made", "test", False, list(range(len(clip.captions)))) for clip in clips]
    commit(Path("data/splits.parquet"), splits, Split)


def _write_models() -> None:
    texts = [caption.text for caption in read(Path("data/captions/made.parquet"), Caption)]
    config = VqConfig(width=16, depth=1, codes=16, code_width=8)
    codec = MotionTokenizer(VqVae(config, 263), config)
    codec.net.codebook.vectors.copy_(torch.from_numpy(rng(0, "codes").standard_normal((16, 8))))
    language = Language.create(LanguageConfig(1, 32, 2, 32, 1024), Vocabulary.learn(texts, 400, 16), 3)
    stats = {"mean": [0.0] * 263, "std": [1.0] * 263}
    judges = {
        f"evaluators/{name}": Evaluator.create(kind, 16, 1, 8, texts, stats)
        for name, kind in (("reward", "guo"), ("report", "tmr"))
    }
    models: dict[str, Any] = {"tokenizer": codec, "stage2": language, **judges}
    for name, model in models.items():
        folder = Path("data/models") / name
        folder.mkdir(parents=True)
        model.save(folder)


def arguments(folder: str) -> list[str]:
    data = ["models/stage2", "clips", "captions", "splits.parquet", "models/tokenizer", "models/evaluators"]
    return ["evaluate", "stage2", *(f"data/{name}" for name in data), *(f"{folder}/{name}" for name in OUTS)]


def made(built: Checkout) -> list[str]:
    """Kind and name of every batch that was finished, in their order."""
    return (built.root / LOG).read_text().splitlines()


def killed_after(built: Checkout, kind: str, number: int) -> None:
    command = [sys.executable, "-m", "pipelines", *arguments("again")]
    environment = {**ENVIRONMENT, "KILLED_AFTER": f"{kind} {number}"}
    done = subprocess.run(command, cwd=built.root, env=environment, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, "the stage ended before it could be killed"


@pytest.mark.services
def test_a_killed_evaluation_repeats_no_finished_generation_and_ends_equal(built: Checkout) -> None:
    _, model, *paths = arguments("whole")
    evaluate.main(model, *map(Path, paths))

    built.edit("irg_core/evaluation/memory.py", "\n    return found\n", PLANTED)
    for kind, number in MOMENTS:
        killed_after(built, kind, number)
        assert made(built)[-1].startswith(kind)
        assert len(set(made(built))) == len(made(built)), "a finished batch was made again"
        assert not (built.root / "again").exists()
    built.stage(*arguments("again"))
    assert len(set(made(built))) == len(made(built)), "a finished batch was made again"
    for name in OUTS:
        assert (built.root / "again" / name).read_bytes() == (built.root / "whole" / name).read_bytes(), name
    assert list((built.root / "runs/evaluate/stage2").iterdir()) == []


def test_a_test_clip_that_is_no_motion_is_named_before_anything_is_generated(built: Checkout) -> None:
    place = Path("data/clips/made.parquet")
    clips = list(read(place, Clip))
    broken = clips[7].features.copy()
    broken[1, 7] = np.nan
    commit(place, [replace(clip, features=broken) if clip is clips[7] else clip for clip in clips], Clip)
    data = Path("data")
    prepared = Prepared(
        data / "clips",
        data / "captions",
        data / "splits.parquet",
        data / "models/tokenizer",
        data / "models/evaluators",
    )
    with pytest.raises(TableError, match=rf"test clip {clips[7].clip_id} has numbers that are not finite"):
        evaluate.evaluated(
            "stage2", data / "models/stage2", "trace", ["made"], prepared, section("evaluate", EvaluateParams),
            Memory(Path("kept")), map,
        )  # fmt: skip
    assert not Path("kept").exists()
