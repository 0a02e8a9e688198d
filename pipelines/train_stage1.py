"""train_stage1: the eight atomic tasks, on from base; only answers carry loss."""

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


def main(base: Path, examples: Path, verdict: Path, out: Path) -> None:
    params = section("train_stage1", loop.SupervisedParams)
    language = Language.load(base)
    kept = checkpoints("train_stage1", params, [base, examples], params.checkpoint_every)
    language.begin("train_stage1", [base, examples], params.lora, derive(params.seed, "adapters"))
    with team_of(params.workers):
        journal, dropped = cluster.train("train_stage1", params, language, scan(examples, Example), kept)

    with whole_folder(out) as aside:
        language.save(aside)
        journal.save(aside)
    kept.discard()
    summarise(
        "train_stage1", examples=count(examples), too_long=dict(dropped), heldout_loss=journal.last("heldout_loss")
    )
