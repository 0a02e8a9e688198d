"""A disk that takes no more while a model's weights are written: one sentence, and nothing half-done."""

import subprocess
import sys
from pathlib import Path

import yaml

from irg_core.models.language import Language
from irg_core.params import mapping
from irg_core.records.training import Example
from irg_core.tables import commit
from irg_core.training.loop import SupervisedParams

ROOT = Path(__file__).parents[2]


def test_weights_that_find_no_room_are_one_sentence_with_the_path(
    language: Language, examples: list[Example], supervised: SupervisedParams, tmp_path: Path
) -> None:
    (tmp_path / "base").mkdir()
    language.save(tmp_path / "base")
    commit(tmp_path / "stage1.parquet", examples, Example)
    training = vars(supervised) | {"steps": 2, "warmup": 1, "measure_every": 2, "checkpoint_every": 9}
    params = {"runtime": mapping("runtime") | {"executor": "local"}, "train_stage1": training}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    words = "-m pipelines train_stage1 base stage1.parquet none.json out/stage1"
    # Files of at most 20 or 40 KiB, by the shell; the weights take more, the examples less.
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 40; exec {sys.executable} {words}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    told = "train_stage1: the disk refused to write the weights of out/stage1 (File too large); tables and models are"
    assert done.stderr.startswith(told), done.stderr
    assert not list((tmp_path / "out").iterdir())
