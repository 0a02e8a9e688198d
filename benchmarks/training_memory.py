"""Peak memory of Stage 3 beside Stage 2's, at the demo's sizes: what each takes beyond Python and its libraries.

`python -m benchmarks.training_memory <built checkout>` writes benchmarks/results/training_memory.{json,md} (about three
minutes). Each stage runs for some steps in a process of its own, on one thread, with a checkpoint at the end. Linux
counts the peak; what was resident once everything was imported, and before a model was read, is taken off.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.training import Example, Goal
from irg_core.tables import read, scan
from irg_core.training import grpo, loop
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.judge import Judge

RESULT = Path(__file__).parents[1] / "benchmarks/results/training_memory.json"
AIM = 1.3
"""Times what Stage 2 takes, and the reference, is what Stage 3 may take."""
STEPS = {"stage2": 12, "stage3": 2}
EXAMPLES = 2000


def stage2(checkout: Path, folder: Path) -> Language:
    language = Language.load(checkout / "data/models/stage1")
    steps = STEPS["stage2"]
    params = replace(
        section("train_stage2", loop.SupervisedParams), threads=1, steps=steps, measured=8, checkpoint_every=steps
    )
    rows = islice(scan(checkout / "data/examples/stage2.parquet", Example), EXAMPLES)
    loop.train("train_stage2", params, language, rows, Checkpoints(folder, steps))
    return language


def stage3(checkout: Path, folder: Path) -> Language:
    params = section("train_stage3", grpo.TrainStage3Params)
    params = replace(params, threads=1, steps=STEPS["stage3"], checkpoint_every=STEPS["stage3"])
    models = checkout / "data/models"
    limits = section("kinematics", KinematicsParams)
    evaluator = Evaluator.load(models / "evaluators/reward")
    judge = Judge(MotionTokenizer.load(models / "tokenizer"), evaluator, params.rewards, limits)
    language, reference = Language.load(models / "stage2"), Language.load(models / "stage2")
    goals = list(read(checkout / "data/examples/stage3.parquet", Goal))
    grpo.train(params, language, reference, goals, judge, Checkpoints(folder, STEPS["stage3"]))
    return language


STAGES: dict[str, Callable[[Path, Path], Language]] = {"stage2": stage2, "stage3": stage3}


def resident(name: str) -> int:
    """Bytes of this process as Linux counts them: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def measured(stage: str, checkout: Path) -> dict[str, int]:
    """Bytes beyond the imports at the peak of a stage, and of one copy of the weights."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak so far is forgotten
    with tempfile.TemporaryDirectory() as folder:
        language = STAGES[stage](checkout, Path(folder) / stage / "run")
    weights = sum(weight.numel() * weight.element_size() for weight in language.model.parameters())
    return {"peak": resident("VmHWM") - before, "imports": before, "weights": weights}


def told(found: dict[str, Any]) -> str:
    mib = {name: {what: bytes / 2**20 for what, bytes in one.items()} for name, one in found.items()}
    may = AIM * mib["stage2"]["peak"] + mib["stage3"]["weights"]
    is_kept = mib["stage3"]["peak"] <= may
    lines = [
        "Resident MiB at the peak, beyond those of Python and its imports; the demo's sizes, one thread, "
        f"{STEPS['stage2']} steps of Stage 2 and {STEPS['stage3']} of Stage 3, checkpoints included.",
        "",
        "| stage | beyond the imports | imports | one copy of the weights |",
        "|---|--:|--:|--:|",
        *(f"| {name} | {one['peak']:,.0f} | {one['imports']:,.0f} | {one['weights']:,.1f} |"
          for name, one in mib.items()),
        "",
        f"Stage 3 takes {mib['stage3']['peak'] / mib['stage2']['peak']:.2f} × what Stage 2 takes. "
        f"{AIM} × of it and the reference are {may:,.0f} MiB: {'kept' if is_kept else 'not kept'}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(checkout: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    found: dict[str, Any] = {}
    for stage in STAGES:
        command = [sys.executable, "-m", "benchmarks.training_memory", str(checkout), stage]
        said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
        found[stage] = json.loads(said.splitlines()[-1])
        print(stage, found[stage], file=sys.stderr, flush=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    RESULT.with_suffix(".md").write_text(told(found), encoding="utf-8")
    print(told(found))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(measured(sys.argv[2], Path(sys.argv[1]))))
    else:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
