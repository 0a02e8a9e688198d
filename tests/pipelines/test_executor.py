"""Batches in this process, in a pool, and on a real Ray: the same results, whatever happens to the workers."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest
import yaml

from irg_core.errors import ClusterError, TableError
from irg_core.evaluation import answers
from irg_core.evaluation.answers import Asked
from irg_core.evaluation.goals import Goal
from irg_core.evaluation.memory import Memory
from irg_core.models.decoding import Sampling
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
from irg_core.records.motion import Clip
from irg_core.seeds import rng
from irg_core.tables import commit
from pipelines import encode, executor, ingest
from pipelines.executor import MapBatches, RuntimeParams

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]


def runtime(kind: Any, address: str = "") -> RuntimeParams:
    return RuntimeParams(kind, 2, address, 1, None, None)


@pytest.fixture(scope="module")
def ray() -> Iterator[MapBatches]:
    with executor.ray_of(runtime("ray"), 2), executor.executor(runtime("ray")) as map_batches:
        yield map_batches


@pytest.fixture(scope="module")
def pool() -> Iterator[MapBatches]:
    with executor.executor(runtime("process")) as map_batches:
        yield map_batches


@pytest.fixture(params=["pool", "ray"])
def map_batches(request: pytest.FixtureRequest) -> MapBatches:
    found: MapBatches = request.getfixturevalue(request.param)
    return found


def slow_if_even(number: int, name: str) -> tuple[int, str]:
    time.sleep(0.2 * (1 - number % 2))
    return number, name


def refuse(number: int) -> None:
    raise TableError(f"row {number} is broken")


def die_once(number: int, scene: Path) -> int:
    if number == 3 and not scene.exists():
        scene.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def doubled(rows: np.ndarray) -> np.ndarray:
    rows *= 2
    return rows


def test_results_come_in_the_order_of_the_inputs(map_batches: MapBatches) -> None:
    assert list(map_batches(slow_if_even, range(6), "abcdef")) == list(enumerate("abcdef"))


def test_a_stream_of_inputs_is_never_held_whole(map_batches: MapBatches) -> None:
    taken: list[int] = []

    def stream() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    for place, _ in enumerate(map_batches(abs, stream())):
        assert len(taken) <= place + 2 * executor.AHEAD
    assert len(taken) == 50


def test_the_exception_of_a_batch_comes_back_as_itself(map_batches: MapBatches) -> None:
    with pytest.raises(TableError, match=r"^row 0 is broken$"):
        list(map_batches(refuse, range(3)))


def test_what_travels_belongs_to_whoever_receives_it(map_batches: MapBatches) -> None:
    """Large arrays, which Ray by itself would share and forbid to write to."""
    (answer,) = map_batches(doubled, [np.ones(300_000)])
    answer += 1
    assert (answer == 3).all()


def test_a_killed_worker_of_ray_is_survived(ray: MapBatches, tmp_path: Path) -> None:
    assert list(ray(die_once, range(8), [tmp_path / "scene"] * 8)) == list(range(8))
    assert (tmp_path / "scene").exists()


def write_clips(folder: Path) -> None:
    """Clips of a few lengths, and a tokenizer that knows nothing but encodes."""
    clips = []
    for index in range(40):
        frames = rng(index, "clip").standard_normal((24 + 4 * (index % 3), 263)).astype(np.float32)
        clips.append(Clip(f"toy/{index:02d}", "toy", f"toy/{index:02d}", "", frames, [], ""))
    commit(folder / "clips.parquet", clips, Clip)
    config = VqConfig(width=16, depth=1, codes=16, code_width=8)
    (folder / "tokenizer").mkdir()
    MotionTokenizer(VqVae(config, 263), config).save(folder / "tokenizer")


def test_ingest_and_encode_give_equal_bytes_wherever_they_run(
    ray: MapBatches, pool: MapBatches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(encode, "BATCH", 16)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    corpora = {"made": {"format": "procedural", "root": "", "clips": 150, "seed": 3}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**params, "corpora": corpora, "encode": {"threads": 1}}))
    write_clips(tmp_path)
    made = []
    places: dict[str, MapBatches] = {"here": map, "pool": pool, "ray": ray}
    for name, where in places.items():
        out = Path(name)
        tables = [out / name for name in ("clips", "rejections", "findings")]
        ingest.main("made", ROOT / "irg_core/corpora/procedural.yaml", *tables, map_batches=where)
        encode.main("toy", tmp_path / "clips.parquet", tmp_path / "tokenizer", out / "tokens", map_batches=where)
        made.append([file.read_bytes() for file in sorted(out.iterdir())])
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("kind", ["direct", "composed", "trace"])
def test_a_model_answers_the_same_wherever_it_is_asked(
    ray: MapBatches, pool: MapBatches, tmp_path: Path, kind: answers.Kind
) -> None:
    verbs = ["walks", "runs", "jumps", "bows", "waves", "kicks", "turns"]
    config = VqConfig(width=16, depth=1, codes=16, code_width=8)
    codec = MotionTokenizer(VqVae(config, 263), config)
    Language.create(LanguageConfig(1, 32, 2, 32, 512), Vocabulary.learn(verbs, 280, 16), 3).save(tmp_path)
    clip = Clip("made/0", "made", "made/0", "", np.zeros((24, 263), dtype=np.float32), [], "")
    goals = [Goal(clip, f"made/{place}", f"a person {verb}", False) for place, verb in enumerate(verbs)]
    sampling = Sampling(
        seed=1, temperature=1.0, top_p=1.0, max_tokens=60, max_codes=6, max_text=8, max_rounds=2, batch=3
    )
    said = [
        answers.KINDS[kind](
            Asked("m", tmp_path, goals, codec, sampling, 4, 1, where, Memory(tmp_path / f"kept{place}"))
        )
        for place, where in enumerate(cast(list[MapBatches], [map, pool, ray]))
    ]
    assert said[0].generations == said[1].generations == said[2].generations
    assert said[0].counts == said[1].counts == said[2].counts


def test_an_address_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "PATIENCE", 3.0)
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        for address in [*(f"127.0.0.1:{one.getsockname()[1]}" for one in (silent, closed)), "nowhere"]:
            with pytest.raises(ClusterError, match=rf"^runtime.ray_address: .*{address}.*; start it") as caught:
                executor._join(address)
            assert "\n" not in str(caught.value)


SLEEPER = """
import sys, time
from pathlib import Path
from pipelines.executor import RuntimeParams, executor

with executor(RuntimeParams("ray", 2, "", 1, None, None)) as map_batches:
    for _ in map_batches(abs, [1]):
        print(__import__("ray")._private.worker.global_worker.node.get_temp_dir_path(), flush=True)
        time.sleep(60)
"""


def test_a_killed_stage_leaves_nothing_of_its_ray() -> None:
    stage = subprocess.Popen([sys.executable, "-c", SLEEPER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert stage.stdout is not None
    folder = Path(stage.stdout.readline().strip())
    alive = psutil.Process(stage.pid).children(recursive=True)
    assert len(alive) > 4
    stage.kill()
    stage.wait()
    gone, left = psutil.wait_procs(alive, timeout=20)
    assert left == []
    assert len(gone) == len(alive)
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists()
