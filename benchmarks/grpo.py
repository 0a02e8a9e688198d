"""Stage 3 beside other libraries, on the demo's sizes: sampling a group, and a whole step.

`python -m benchmarks.grpo [checkout]` writes benchmarks/results/grpo.{json,md} (about four minutes, one thread). A step
is that of a checkout's own Stage 2, whose answers differ in length as answers do. Sampling is measured with untrained
weights, which rarely end an answer before its budget. Both sides sample from the same weights at temperature
1; ours also masks the inside of motions, and looks at what was said. Seconds are those of the processor, which other
work may share.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from irg_core import dialogue
from irg_core.files import write_json, write_text
from irg_core.models.decoding import Sampling, generate
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import mapping, section
from irg_core.records.training import Goal, Rollout
from irg_core.tasks import assess, caption, instruct
from irg_core.tasks import generate as generating
from irg_core.training import grpo
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.journal import Journal
from irg_core.training.judge import Judge

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/grpo.json"
CODES = 256
GROUP, TOKENS, LONGEST = 8, 256, 400
GOALS = ["a person walks forward, then turns left.", "someone jumps twice.", "a man waves with the right hand."]
STEPS, WARM = 2, 1
REPEATS = 3


def main(checkout: Path) -> None:
    torch.set_num_threads(1)
    measured: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors shared with other work"
        f" (load {os.getloadavg()[0]:.1f}), one thread",
        "sampling": _sampling(), "step": _step(checkout / "data/models/stage2"),
    }  # fmt: skip
    write_json(RESULTS, measured)
    write_text(RESULTS.with_suffix(".md"), _told(measured))
    print(_told(measured))


def _language() -> Language:
    """The demo's sizes, untrained."""
    texts = [text for task in (assess, caption, generating, instruct) for text in task.TEMPLATES]
    entry = mapping("backbones.tiny")
    vocabulary = Vocabulary.learn(texts * 2, entry["pieces"], CODES)
    return Language.create(LanguageConfig(**entry["net"]), vocabulary, 3)


# ---- sampling --------------------------------------------------------------------------------------------------------


def _sampling() -> dict[str, Any]:
    """Tokens a second for eight answers to one prompt, the best of a few tries each, in turn."""
    language, prompt = _language(), dialogue.prompt(GOALS[0])
    ids = torch.tensor([language.vocabulary.chat(prompt)])
    budget = Sampling(17, 1.0, 1.0, TOKENS, 50, TOKENS, max_rounds=TOKENS, batch=GROUP)

    def ours(attempt: int) -> int:
        answers = generate(language, {f"{attempt}|{row}": prompt for row in range(GROUP)}, "free", budget)
        return sum(len(answer.ids) for answer in answers.values())

    @torch.inference_mode()
    def theirs(attempt: int) -> int:
        torch.manual_seed(attempt)
        said = language.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
            max_new_tokens=TOKENS, num_return_sequences=GROUP, pad_token_id=language.vocabulary.pad,
        )[:, ids.shape[1] :]  # fmt: skip
        return int((said != language.vocabulary.pad).sum())

    rates = [(_rate(ours, attempt), _rate(theirs, attempt)) for attempt in range(REPEATS)]
    best = {
        name: round(max(found)) for name, found in zip(("ours", "HF generate"), zip(*rates, strict=True), strict=True)
    }
    return {
        "tokens a second": best,
        "ratio": round(best["ours"] / best["HF generate"], 2),
        "ratios": [round(mine / other, 2) for mine, other in rates],
    }


def _rate(say: Callable[[int], int], attempt: int) -> float:
    start = time.process_time()
    said = say(attempt)
    return said / (time.process_time() - start)


# ---- a step ----------------------------------------------------------------------------------------------------------


def _step(weights: Path) -> dict[str, Any]:
    """Seconds of whole steps: sampling three groups of eight, rewards, reference, loss, gradient, update."""
    found = {"ours": _our_steps(weights), "TRL": _trl_steps(weights)}
    seconds = {name: round(min(times), 2) for name, (times, _) in found.items()}
    tokens = {name: round(said) for name, (_, said) in found.items()}
    return {"seconds": seconds, "tokens a step": tokens, "ratio": round(seconds["TRL"] / seconds["ours"], 2)}


class Brief:
    """A reward that costs nothing: short answers are better."""

    SCALED = False

    def score(self, rollouts: Sequence[Rollout]) -> list[float | None]:
        return [-float(len(rollout.answer)) for rollout in rollouts]


def _our_steps(weights: Path) -> tuple[list[float], float]:
    """Seconds of each step but the first, and the mean tokens of a step."""
    params = replace(
        section("train_stage3", grpo.TrainStage3Params), threads=1, precision="float32", steps=WARM + STEPS,
        goals=len(GOALS), group=GROUP, updates=1, answers_at_once=len(GOALS) * GROUP, beta=0.04,
        max_tokens=LONGEST, max_rounds=LONGEST, log_every=1, checkpoint_every=STEPS * 9,
    )  # fmt: skip
    stamps: list[float] = []
    with redirect_stdout(_Stamped(stamps)):
        journal = _improved(params, Language.load(weights), Language.load(weights))
    lengths = [row.value for row in journal.rows if row.name == "answer_tokens"]
    return [after - before for before, after in pairwise(stamps)], GROUP * len(GOALS) * sum(lengths[WARM:]) / STEPS


def _improved(params: grpo.TrainStage3Params, language: Language, reference: Language) -> Journal:
    judge = Judge(_tokenizer(), _evaluator(), {}, section("kinematics", KinematicsParams))
    judge.rewards = {"brief": (Brief(), 1.0)}  # type: ignore[dict-item]  # in a file's place
    texts = GOALS * max(1, params.goals // len(GOALS))
    goals = [Goal(f"g{n}", "", "train", text, dialogue.prompt(text), [1, 2]) for n, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        return grpo.train(params, language, reference, goals, judge, Checkpoints(Path(folder), params.steps))


class _Stamped(StringIO):
    """Notes when each line of a journal is printed: one a step."""

    def __init__(self, stamps: list[float]) -> None:
        super().__init__()
        self.stamps = stamps

    def write(self, text: str) -> int:
        if text.startswith(grpo.STAGE):
            self.stamps.append(time.process_time())
        return len(text)


def _trl_steps(weights: Path) -> tuple[list[float], float]:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    language, stamps, lengths = Language.load(weights), list[float](), list[int]()
    with tempfile.TemporaryDirectory() as folder:
        language.save(Path(folder) / "model")
        words = PreTrainedTokenizerFast(
            tokenizer_file=f"{folder}/model/tokenizer.json", eos_token="<end>", pad_token="<pad>", padding_side="left"
        )

        def brief(completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
            lengths.append(sum(map(len, completion_ids)))
            return [-float(len(text)) for text in completions]

        class Stamping(TrainerCallback):
            def on_step_end(self, *_: Any, **__: Any) -> None:
                stamps.append(time.process_time())

        settings = GRPOConfig(
            output_dir=folder, use_cpu=True, bf16=False, report_to=[], save_strategy="no", logging_strategy="no",
            per_device_train_batch_size=len(GOALS) * GROUP, gradient_accumulation_steps=1, num_generations=GROUP,
            max_completion_length=LONGEST, max_steps=WARM + STEPS, beta=0.04, temperature=1.0, top_p=1.0, top_k=0,
            loss_type="grpo", learning_rate=5e-5, gradient_checkpointing=False, disable_tqdm=True, seed=17,
        )  # fmt: skip
        prompts = [{"prompt": f"<user>{dialogue.prompt(text)}<assistant>"} for text in GOALS]
        trainer = GRPOTrainer(
            str(Path(folder) / "model"), brief, args=settings, train_dataset=Dataset.from_list(prompts * 9),
            processing_class=words, callbacks=[Stamping()],
        )  # fmt: skip
        trainer.train()
    times = [after - before for before, after in pairwise(stamps)]
    return times, sum(lengths[WARM:]) / STEPS


def _tokenizer() -> MotionTokenizer:
    config = VqConfig(width=192, depth=2, codes=CODES, code_width=64)
    tokenizer = MotionTokenizer(VqVae(config, 263), config)
    tokenizer.net.codebook.vectors.normal_()
    return tokenizer


def _evaluator() -> Evaluator:
    stats = {"mean": [0.0] * 263, "std": [1.0] * 263}
    return Evaluator.create("guo", 192, 1, 128, GOALS, stats).eval()


def _told(measured: dict[str, Any]) -> str:
    sampling, step = measured["sampling"], measured["step"]
    rates, seconds, tokens = sampling["tokens a second"], step["seconds"], step["tokens a step"]
    return "\n".join([
        f"The demo's sizes, float32; processor seconds; {measured['machine']}.",
        "",
        "| | ours | theirs | ratio |",
        "|---|--:|--:|--:|",
        f"| a group of {GROUP} answers of up to {TOKENS} tokens, tokens/s (`generate` of transformers) |"
        f" {rates['ours']} | {rates['HF generate']} | {sampling['ratio']} |",
        f"| a GRPO step, {len(GOALS)} goals × {GROUP} answers of up to {LONGEST} tokens, seconds (TRL) |"
        f" {seconds['ours']} | {seconds['TRL']} | {step['ratio']} |",
        "",
        f"A step of ours had {tokens['ours']} tokens, one of TRL's {tokens['TRL']}.",
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT)
