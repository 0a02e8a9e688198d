"""What the evaluators can tell apart, seed by seed, against ones trained on shuffled captions.

`python -m benchmarks.evaluator_quality` from the root of a checkout whose `split` and `describe` stages are built
trains, one after the other, as many evaluators as fit into `SLICE`, and says how many are left: run it again. What is
done is kept in runs/evaluator_quality/, what was interrupted goes on from its checkpoint. Once nothing is left it
writes benchmarks/results/evaluator_quality.json and .md.

Trained on the train split alone; measured on test clips, corpora apart: each text is held against the whole gallery. A
table of clips that the split does not know (data/clips/cmu.parquet, made by `ingest`) is a corpus that no evaluator
has seen: all of it is measured, with the sentences that came with it.
"""

import dataclasses
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from irg_core.files import read_json, write_json, write_text
from irg_core.params import mapping, section
from irg_core.records.annotation import Caption, visible_captions
from irg_core.records.motion import Clip, Split
from irg_core.seeds import rng
from irg_core.tables import read, read_all
from irg_core.training.ceiling import retrieval
from irg_core.training.checkpoint import checkpoints
from irg_core.training.contrastive import EvaluatorParams, Pairing, train

DONE = Path("runs/evaluator_quality")
RESULTS = Path("benchmarks/results")
SETTINGS = {"guo": "train_evaluators.reward", "tmr": "train_evaluators.report", "essential": "train_evaluators.report"}
SEEDS = (17, 18, 19)
SHUFFLED = "tmr"
"""The architecture that is trained ten times on captions of other clips, with `SHORTER` of the steps: there is nothing
to be learned that would help with other clips, and ten whole trainings take long."""
SHUFFLES, SHORTER = 10, 0.25
SLICE = 170.0
"""Seconds of one call, after which nothing new is begun; a training takes about a minute on one thread."""
METRICS = ("r1", "r3", "gallery_r1", "gallery_r3")


@dataclasses.dataclass(frozen=True)
class Piece:
    """One evaluator to train."""

    architecture: str
    seed: int
    is_shuffled: bool

    @property
    def place(self) -> Path:
        return DONE / f"{self.architecture}-{'shuffled-' if self.is_shuffled else ''}{self.seed}.json"


def pieces() -> list[Piece]:
    learned = [Piece(architecture, seed, False) for seed in SEEDS for architecture in SETTINGS]
    return learned + [Piece(SHUFFLED, seed, True) for seed in range(SHUFFLES)]


def main() -> None:
    wanted = [piece for piece in pieces() if not piece.place.exists()]
    started = time.monotonic()
    for piece in wanted:
        if time.monotonic() - started < SLICE:
            do(piece)
    left = [piece for piece in pieces() if not piece.place.exists()]
    if left:
        print(f"{len(left)} pieces left; run this again")
        return
    outcome = {piece.place.stem: read_json(piece.place) for piece in pieces()}
    write_json(RESULTS / "evaluator_quality.json", outcome)
    write_text(RESULTS / "evaluator_quality.md", _markdown(outcome))
    print(_markdown(outcome))


def do(piece: Piece) -> None:
    """Train one evaluator, from where it was interrupted if it was, and measure it on every corpus."""
    settings = section(SETTINGS[piece.architecture], EvaluatorParams)
    steps = round(settings.steps * (SHORTER if piece.is_shuffled else 1.0))
    own: dict[str, Any] = {"architecture": piece.architecture, "seed": piece.seed, "threads": 1, "steps": steps}
    params = dataclasses.replace(settings, **own)
    learned = pairings("train")
    if piece.is_shuffled:
        learned = shuffled(learned, piece.seed)
    started = time.monotonic()
    kept = checkpoints(f"evaluator_quality.{piece.place.stem}", params, [Path("data/splits.parquet")], 50)
    judge, _ = train(piece.place.stem, learned, read_json(Path("data/stats.json")), params, kept)
    seconds = time.monotonic() - started
    near = params.near_identical
    measured = {
        name: {
            "real": retrieval(judge, rows, near, seed=1),
            "random": retrieval(judge, shuffled(rows, 1), near, seed=1),
        }
        for name, rows in corpora().items()
    }
    held_out = pairings("val")
    drawn = learned[:: max(1, len(learned) // len(held_out))]
    write_json(
        piece.place,
        {
            "seconds": round(seconds, 1),
            "train": retrieval(judge, drawn, near, seed=1),
            "val": retrieval(judge, held_out, near, seed=1),
            "corpora": measured,
        },
    )
    kept.discard()


def shuffled(rows: Sequence[Pairing], seed: int) -> list[Pairing]:
    """Each motion with the sentences of another clip."""
    order = rng(seed, "shuffled").permutation(len(rows))
    others = {int(one): int(two) for one, two in zip(order, [*order[1:], order[0]], strict=True)}
    return [dataclasses.replace(row, captions=rows[others[place]].captions) for place, row in enumerate(rows)]


# --- what is read -----------------------------------------------------------------------------------------------------


@cache
def _splits() -> dict[str, Split]:
    return {split.clip_id: split for split in read(Path("data/splits.parquet"), Split)}


@cache
def _known() -> dict[str, list[Pairing]]:
    """Captioned clips of each split, test clips as they are asked for: by the sentences that came with them."""
    names = sorted(mapping("corpora"))
    said = visible_captions(read_all(Path("data/captions"), names, Caption), _splits().values())
    found: dict[str, list[Pairing]] = {"train": [], "val": [], "test": []}
    for clip in read_all(Path("data/clips"), names, Clip):
        split = _splits()[clip.clip_id].split
        captions = said.get(clip.clip_id, [])
        own = [caption for caption in captions if caption.source == "source"]
        if captions:
            chosen = own or captions if split == "test" else captions
            found[split].append(Pairing(clip.clip_id, clip.features, tuple(caption.text for caption in chosen)))
    return found


def pairings(split: str) -> list[Pairing]:
    return _known()[split]


@cache
def corpora() -> dict[str, list[Pairing]]:
    """Test clips by corpus; of the procedural one also those whose kind of motion was never trained on."""
    found: dict[str, list[Pairing]] = {}
    for row in pairings("test"):
        corpus = row.key.partition("/")[0]
        found.setdefault(corpus, []).append(row)
        if mapping("corpora")[corpus]["format"] == "procedural":
            kind = "unseen" if _splits()[row.key].unseen else "seen"
            found.setdefault(f"{corpus}, {kind} kinds", []).append(row)
    return found | dict(_foreign())


def _foreign() -> Iterator[tuple[str, list[Pairing]]]:
    for path in sorted(Path("data/clips").glob("*.parquet")):
        if path.stem not in mapping("corpora"):
            rows = [
                Pairing(clip.clip_id, clip.features, tuple(caption.text for caption in clip.captions))
                for clip in read(path, Clip)
                if clip.captions
            ]
            yield f"{path.stem}, never trained on", rows


# --- the table --------------------------------------------------------------------------------------------------------


def _markdown(found: Mapping[str, Any]) -> str:
    shuffles = [found[f"{SHUFFLED}-shuffled-{seed}"] for seed in range(SHUFFLES)]
    lines = [
        f"Real motions found by their sentences; mean and least to most of {len(SEEDS)} seeds. `random`: the same"
        f" motions under other sentences. `shuffled`: the best of {SHUFFLES} `{SHUFFLED}` evaluators trained on the"
        f" captions of other clips, with {SHORTER:g} of the steps.",
        "",
        "| test clips | evaluator | R@1 in 32 | R@3 in 32 | gallery R@1 | gallery R@3 | of random | of shuffled |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    first = next(iter(found.values()))
    for corpus, measured in first["corpora"].items():
        best = max(row["corpora"][corpus]["real"]["gallery_r3"] for row in shuffles)
        for architecture in SETTINGS:
            rows = [found[f"{architecture}-{seed}"]["corpora"][corpus] for seed in SEEDS]
            cells = [_spread([row["real"][metric] for row in rows]) for metric in METRICS]
            chance = statistics.mean(row["random"]["gallery_r3"] for row in rows)
            name = f"{corpus} ({measured['real']['clips']})"
            lines.append(f"| {name} | `{architecture}` | {' | '.join(cells)} | {chance:.3f} | {best:.3f} |")
    lines += [
        "",
        "| evaluator | val gallery R@3 | on as many train clips | training, s on one thread |",
        "|---|--:|--:|--:|",
    ]
    for architecture in SETTINGS:
        rows = [found[f"{architecture}-{seed}"] for seed in SEEDS]
        val, own = ([row[split]["gallery_r3"] for row in rows] for split in ("val", "train"))
        seconds = statistics.mean(row["seconds"] for row in rows)
        lines.append(f"| `{architecture}` | {_spread(val)} | {_spread(own)} | {seconds:.0f} |")
    return "\n".join([*lines, ""])


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f}–{max(values):.3f})"


if __name__ == "__main__":
    main()
