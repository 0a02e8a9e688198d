"""train_stage3: GRPO on from Stage 2; rewards decide, Stage 2 stays the anchor."""

from pathlib import Path

from irg_core.files import whole_folder
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language
from irg_core.models.vqvae import MotionTokenizer
from irg_core.params import section
from irg_core.records.training import Goal
from irg_core.summaries import summarise
from irg_core.tables import read
from irg_core.training import grpo
from irg_core.training.checkpoint import checkpoints


def main(stage2: Path, goals: Path, tokenizer: Path, evaluator: Path, verdict: Path, out: Path) -> None:
    params = section("train_stage3", grpo.TrainStage3Params)
    judge = grpo.Judge(MotionTokenizer.load(tokenizer), Evaluator.load(evaluator), params.rewards)
    language, reference = Language.load(stage2), Language.load(stage2)
    kept = checkpoints("train_stage3", params, [stage2, goals, tokenizer, evaluator], params.checkpoint_every)
    journal = grpo.train(params, language, reference, read(goals, Goal), judge, kept)

    with whole_folder(out) as aside:
        language.save(aside)
        journal.save(aside)
    kept.discard()
    wellformed, kl = journal.last("reward/wellformed"), journal.last("kl")
    summarise("train_stage3", steps=params.steps, reward=journal.last("reward"), wellformed=wellformed, kl=kl)
