"""train_base: from a caption to the codes of its motion; the language model's first words, and its vocabulary."""

from dataclasses import dataclass
from pathlib import Path

from irg_core import dialogue
from irg_core.files import whole_folder
from irg_core.models.backbone import Backbone, backbone
from irg_core.models.vqvae import MotionTokenizer
from irg_core.params import names, section
from irg_core.records.annotation import Caption, visible_captions
from irg_core.records.motion import MotionTokens, Split
from irg_core.records.training import Example, Segment
from irg_core.seeds import derive
from irg_core.summaries import summarise
from irg_core.tables import read, read_all
from irg_core.tasks.generate import TEMPLATES
from irg_core.training import cluster, loop
from irg_core.training.checkpoint import checkpoints
from pipelines.executor import team_of


@dataclass(frozen=True)
class TrainBaseParams:
    """`train_base` in params.yaml."""

    backbone: str
    """A file of irg_core/models/backbones, set up by its entry in `backbones`."""
    training: loop.SupervisedParams


@dataclass(frozen=True)
class Started:
    """What this training is made from."""

    params: TrainBaseParams
    start: Backbone


def main(tokens: Path, captions: Path, splits: Path, tokenizer: Path, verdict: Path, out: Path) -> None:
    params = section("train_base", TrainBaseParams)
    start = backbone(params.backbone)
    corpora = names("corpora")
    shown = [split for split in read(splits, Split) if split.split in ("train", "val")]
    said = visible_captions(read_all(captions, corpora, Caption), shown)
    motions = {row.clip_id: row.tokens for row in read_all(tokens, corpora, MotionTokens)}
    part = {split.clip_id: split.split for split in shown}
    examples = [example(caption, part[clip], motions[clip]) for clip, found in said.items() for caption in found]

    texts = [caption.text for clip, found in said.items() if part[clip] == "train" for caption in found]
    seed, codes = params.training.seed, MotionTokenizer.load(tokenizer).codes
    language = start.create(texts, codes, derive(seed, "weights"))
    inputs = [splits, tokenizer, *(folder / f"{corpus}.parquet" for folder in (tokens, captions) for corpus in corpora)]
    kept = checkpoints("train_base", Started(params, start), inputs, params.training.checkpoint_every)
    language.begin("train_base", inputs, params.training.lora, derive(seed, "adapters"))
    with team_of(params.training.workers):
        journal, dropped = cluster.train("train_base", params.training, language, examples, kept)

    with whole_folder(out) as aside:
        language.save(aside)
        journal.save(aside)
    kept.discard()
    loss = journal.last("heldout_loss")
    summarise(
        "train_base", examples=len(examples), tokens=language.vocabulary.size, too_long=dict(dropped), heldout_loss=loss
    )


def example(caption: Caption, split: str, codes: list[int]) -> Example:
    prompt = TEMPLATES[0].format(goal=caption.text)
    return Example(
        caption.caption_id, "base", split, prompt, [Segment(dialogue.motion(codes), True)], [caption.clip_id]
    )
