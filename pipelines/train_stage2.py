"""train_stage2: whole traces, on from Stage 1; a flawed motion inside of a trace carries no loss."""

from pathlib import Path

from irg_core.files import whole_folder
from irg_core.models.language import Language
from irg_core.params import section
from irg_core.records.training import Example
from irg_core.seeds import derive
from irg_core.summaries import summarise
from irg_core.tables import count, scan
from irg_core.training import cluster, loop
from irg_core.training.checkpoint import checkpoints
from pipelines.executor import team_of


def main(stage1: Path, examples: Path, verdict: Path, out: Path) -> None:
    params = section("train_stage2", loop.SupervisedParams)
    language = Language.load(stage1)
    kept = checkpoints("train_stage2", params, [stage1, examples], params.checkpoint_every)
    language.begin("train_stage2", [stage1, examples], params.lora, derive(params.seed, "adapters"))
    with team_of(params.workers):
        journal, dropped = cluster.train("train_stage2", params, language, scan(examples, Example), kept)

    with whole_folder(out) as aside:
        language.save(aside)
        journal.save(aside)
    kept.discard()
    summarise(
        "train_stage2", examples=count(examples), too_long=dict(dropped), heldout_loss=journal.last("heldout_loss")
    )
