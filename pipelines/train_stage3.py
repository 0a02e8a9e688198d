"""train_stage3: GRPO on from Stage 2; rewards decide, Stage 2 stays the anchor."""

from dataclasses import dataclass
from pathlib import Path

from irg_core.files import whole_folder
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.training import Goal
from irg_core.seeds import derive
from irg_core.summaries import summarise
from irg_core.tables import read
from irg_core.training import cluster, grpo
from irg_core.training.checkpoint import checkpoints
from irg_core.training.judge import Judge
from irg_core.training.rollouts import Ledger
from pipelines.executor import team_of


@dataclass(frozen=True)
class Measuring(grpo.TrainStage3Params):
    """The section of this stage, and the thresholds that its rewards measure by."""

    kinematics: KinematicsParams


def main(stage2: Path, goals: Path, tokenizer: Path, evaluator: Path, verdict: Path, out: Path) -> None:
    params, limits = section("train_stage3", grpo.TrainStage3Params), section("kinematics", KinematicsParams)
    judge = Judge(MotionTokenizer.load(tokenizer), Evaluator.load(evaluator), params.rewards, limits)
    language, reference = Language.load(stage2), Language.load(stage2) if params.beta and not params.lora else None
    language.speak(judge.tokenizer.codes)
    made_of = Measuring(**vars(params), kinematics=limits)
    kept = checkpoints("train_stage3", made_of, [stage2, goals, tokenizer, evaluator], params.checkpoint_every)
    language.begin("train_stage3", [stage2, goals], params.lora, derive(params.seed, "adapters"))
    with team_of(params.workers):
        journal = cluster.improve(params, language, reference, read(goals, Goal), judge, kept)

    with whole_folder(out) as aside:
        language.save(aside)
        journal.save(aside)
        Ledger.of(kept).save(aside / "rollouts.parquet")
    kept.discard()
    wellformed, kl = journal.last("wellformed"), journal.last("kl")
    summarise("train_stage3", steps=params.steps, reward=journal.last("reward"), wellformed=wellformed, kl=kl)
