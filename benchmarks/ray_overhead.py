"""What Ray costs on one machine, and what it brings: whole stages here, in a pool, and on Ray with two workers.

`python -m benchmarks.ray_overhead` writes benchmarks/results/ray_overhead.md (about five minutes). Tokenizer and model
are untrained: their bytes mean nothing, their time is that of the demo's sizes.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/ray_overhead.md"
WORKERS = 2
CLIPS = 2000
REPEATS = 2
INGESTED = ["clips.parquet", "rejections.parquet", "findings.parquet"]
STEPS = 2
"""Of the training: its time is that of its start."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write_models(place)
        rows = [
            ("`ingest`, 2,000 procedural clips", _over_executors(place, _ingest)),
            ("`encode`, 2,000 clips", _over_executors(place, _encode)),
        ]
        starts = [_best(lambda workers=workers: _train(place, workers)) for workers in (1, WORKERS)]  # type: ignore[misc]
    table = ["| stage, seconds | local | process | ray |", "|---|--:|--:|--:|"]
    table += [f"| {name} | {' | '.join(f'{seconds:.1f}' for seconds in found)} |" for name, found in rows]
    machine = f"{os.cpu_count()} processors, shared with other work (load {os.getloadavg()[1]:.0f}), {WORKERS} workers"
    one, several = starts
    told = [
        f"Whole stages with their imports and the start of their workers, best of {REPEATS}. {machine}.",
        "",
        *table,
        "",
        f"A training of {STEPS} steps takes {one:.1f} s in one process, and {several:.1f} s on {WORKERS} workers of "
        f"Ray Train: {several - one:.1f} s for its start.",
    ]
    RESULT.write_text("\n".join(told) + "\n", encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


def _over_executors(place: Path, stage: Callable[[Path], None]) -> list[float]:
    seconds = []
    for executor in ("local", "process", "ray"):
        _write_params(place, executor, 1)
        seconds.append(_best(lambda: stage(place)))
    return seconds


def _best(work: Callable[[], None]) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.monotonic()
        work()
        seconds.append(time.monotonic() - started)
    return min(seconds)


def _ingest(place: Path) -> None:
    _stage(place, "ingest", "made", str(ROOT / "irg_core/corpora/procedural.yaml"), *INGESTED)


def _encode(place: Path) -> None:
    _stage(place, "encode", "made", "clips.parquet", "tokenizer", "tokens.parquet")


def _train(place: Path, workers: int) -> None:
    _write_params(place, "local", workers)
    _stage(place, "train_stage1", "base", "examples.parquet", "params.yaml", "stage1")


def _stage(place: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipelines", *arguments]
    subprocess.run(command, cwd=place, env=environment, check=True, stdout=subprocess.DEVNULL)


def _write_params(place: Path, executor: str, workers: int) -> None:
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["runtime"] |= {"executor": executor, "workers": WORKERS, "ray_address": ""}
    params["corpora"] = {"made": {"format": "procedural", "root": "", "clips": CLIPS, "seed": 17}}
    params["train_stage1"] |= {"workers": workers, "threads": 1, "steps": STEPS, "warmup": 1, "measured": 1}
    (place / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def _write_models(place: Path) -> None:
    from irg_core.models.language import Language, LanguageConfig
    from irg_core.models.vocabulary import Vocabulary
    from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
    from irg_core.records.training import Example, Segment
    from irg_core.tables import commit

    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    config = VqConfig(**params["train_tokenizer"]["net"])
    (place / "tokenizer").mkdir()
    MotionTokenizer(VqVae(config, 263), config).save(place / "tokenizer")
    vocabulary = Vocabulary.learn(["a person walks."], params["backbones"]["tiny"]["pieces"], config.codes)
    (place / "base").mkdir()
    Language.create(LanguageConfig(**params["backbones"]["tiny"]["net"]), vocabulary, 1).save(place / "base")
    rows = [
        Example(f"{index:02d}", "caption", "train", "walk", [Segment("a person walks.", True)], [])
        for index in range(16)
    ]
    commit(place / "examples.parquet", rows, Example)


if __name__ == "__main__":
    main()
