"""One goal put before one model: which model, what may be asked, and the answer as it is said."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from irg_core import dialogue
from irg_core.errors import FactoryError, ModelError, ParamsError
from irg_core.params import mapping

if TYPE_CHECKING:
    from irg_core.evaluation.probing import Said
    from irg_core.models.decoding import Answer, Mode, Sampling
    from irg_core.models.language import Language
    from irg_core.models.vocabulary import Vocabulary

TOKENIZER = Path("data/models/tokenizer")
Way = Literal["free", "enforced", "direct"]
WAYS: tuple[Way, ...] = ("free", "enforced", "direct")
KINDS = ("trace", "composed", "direct")
_SYMBOL = re.compile(
    "|".join([r"<Motion_\d+>", "<pad>", "<user>", "<assistant>", "<end>", *map(re.escape, dialogue.TAGS)])
)
INCOMPLETE = "\ufffd"
"""What a decoder shows for a letter whose bytes have not all come yet."""


@dataclass(frozen=True)
class Model:
    """A folder with weights, and how it is used to being asked."""

    name: str
    weights: Path
    answers: str  # one of KINDS


def model(told: str, answers: str = "") -> Model:
    """By its name in params.yaml or by its folder; the last one there if nothing is told. Raises `FactoryError`."""
    if answers and answers not in KINDS:
        raise ParamsError(f"--answers {answers}: it is one of {', '.join(KINDS)}")
    entries = mapping("evaluate.models").items()
    known = {name: Model(name, Path(one["weights"]), one["answers"]) for name, one in entries}
    known = {name: one for name, one in known.items() if one.answers in KINDS}
    if not known and not told:
        raise ParamsError("params.yaml: evaluate.models names no model; give a folder with --model")
    found = known.get(told) or _of_folder(Path(told), known) if told else list(known.values())[-1]
    if found is None:
        raise ModelError(f"no model '{told}': it is neither a folder with weights nor one of {', '.join(known)}")
    if not (found.weights / "config.json").exists():
        raise ModelError(f"{found.weights} holds no model (no config.json); run `dvc repro`, or give --model")
    return replace(found, answers=answers) if answers else found


def _of_folder(folder: Path, known: dict[str, Model]) -> Model | None:
    if not folder.exists():
        return None
    same = [one for one in known.values() if one.weights.resolve() == folder.resolve()]
    return same[0] if same else Model(folder.resolve().name, folder, KINDS[0])


def goal(text: str) -> str:
    """A text that can be asked for, in one line. Raises `FactoryError`."""
    said = " ".join(text.split())
    if not said:
        raise FactoryError("the text is empty; say in a sentence what the motion shall show")
    try:
        said.encode()
    except UnicodeEncodeError as error:
        raise FactoryError("the text holds bytes that are no UTF-8; write it in UTF-8") from error
    if found := _SYMBOL.search(said):
        raise FactoryError(f"the text holds {found[0]}, which models read as a sign of their grammar; leave it out")
    return said


def loaded(found: Model) -> "Language":
    """The model in memory, ready to be asked. Raises `ModelError` where its files are broken."""
    import torch
    from safetensors import SafetensorError

    from irg_core.evaluation.answers import loaded as once

    torch.set_num_threads(mapping("evaluate")["threads"])
    try:
        return once(found.weights)
    except SafetensorError as error:
        raise ModelError(f"{found.weights} holds broken weights ({error}); make it again with `dvc repro`") from error


def sampling(seed: int | None = None, temperature: float | None = None) -> "Sampling":
    """As in evaluation, but for what is told otherwise."""
    from irg_core.models.decoding import Sampling
    from irg_core.params import section

    stated = section("evaluate.sampling", Sampling)
    if temperature is not None and not 0.0 <= temperature <= 100.0:
        raise FactoryError(f"--temperature {temperature:g} is out of its range, 0 to 100")
    return replace(
        stated,
        seed=stated.seed if seed is None else seed,
        temperature=stated.temperature if temperature is None else temperature,
    )


def answer(
    language: "Language", prompt: str, mode: "Mode", how: "Sampling", begun: str = "", reader: "Reader | None" = None
) -> "Answer":
    """What the model says. Raises `FactoryError` where prompt and answer together are more than it reads."""
    from irg_core.models import decoding

    words = language.vocabulary
    ids = words.encode(begun)
    longest = min(how.max_tokens, how.max_codes + 2) if mode == "motion" else how.max_tokens
    fits(language, len(words.chat(prompt)) + len(ids), longest - len(ids))
    heard = reader.heard if reader else None
    return decoding.generate(language, {"answer": prompt}, mode, how, {"answer": ids}, heard)["answer"]


def fits(language: "Language", asked: int, more: int) -> None:
    """Raises `FactoryError` where a question of so many tokens leaves no room for so many more."""
    most = language.positions
    if asked + more > most or more <= 0:
        raise FactoryError(
            f"text and motion take {asked:,} tokens, and this model reads {most:,} with its answer of up to "
            f"{max(more, 0):,}; say it shorter"
        )


class Reader:
    """Writes an answer to the terminal as it comes: blocks on lines of their own, codes as numbers."""

    def __init__(self, vocabulary: "Vocabulary") -> None:
        from flows.terminal import console

        self.vocabulary = vocabulary
        self.out = console()
        self.waiting: list[int] = []
        self.openings = {vocabulary.id(tag) for tag in dialogue.TAGS if not tag.startswith(("[/", "</"))}
        self.structure = {vocabulary.id(tag) for tag in dialogue.TAGS}
        self.at_start = True

    def heard(self, _: str, token: int) -> None:
        words = self.vocabulary
        if 0 <= (code := token - words.first_code) < words.codes:
            self._write(f" {code}", "cyan")
        elif token in self.structure:
            if token in self.openings and token != words.motion and not self.at_start:
                self._write("\n", "")
            self._write(words.decode([token]), "dim")
        elif token != words.end:
            self._text(token)

    def _text(self, token: int) -> None:
        self.waiting.append(token)
        text = self.vocabulary.decode(self.waiting)
        if not text.endswith(INCOMPLETE):
            self._write(text, "")
            self.waiting.clear()

    def _write(self, text: str, style: str) -> None:
        self.out.print(text, end="", style=style, markup=False, soft_wrap=True)
        self.out.file.flush()
        self.at_start = text.endswith("\n")

    def end(self) -> None:
        if not self.at_start:
            self._write("\n", "")


def encoded(features: Any, how: "Sampling", name: str) -> tuple[Any, list[int]]:
    """The tokenizer, and the codes of a motion. Raises `FactoryError` where it is longer than a model may write."""
    from irg_core.models.vqvae import MotionTokenizer

    tokenizer = MotionTokenizer.load(TOKENIZER)
    width = len(tokenizer.net.mean)
    if features.shape[1] != width:
        raise ModelError(f"{TOKENIZER} reads rows of {width} numbers, '{name}' has {features.shape[1]}; retrain it")
    (codes,) = tokenizer.encode([features])
    if len(codes) > how.max_codes:
        raise FactoryError(
            f"'{name}' is {len(codes)} codes long; models read up to evaluate.sampling.max_codes {how.max_codes}"
        )
    return tokenizer, codes


def judged(language: "Language", found: Model, goal: str, codes: list[int], how: "Sampling") -> tuple[str, "Said"]:
    """The model's own words before its first motion, and what it says of this motion as if that were its first."""
    from irg_core.evaluation.probing import BATCHES

    how = replace(how, max_rounds=1)
    before = ""
    if found.answers == "trace":
        before = answer(language, dialogue.prompt(goal), "enforced", how).text.partition("[generate]")[0]
    words, motion = language.vocabulary, f"{before}[generate]{dialogue.motion(codes)}[/generate]"
    shown = len(words.encode(motion))
    fits(language, len(words.chat(dialogue.prompt(goal))) + shown, how.max_tokens - (shown if before else 0))
    threads = mapping("evaluate")["threads"]
    batch = {"motion": {"goal": goal, "codes": codes, "begun": before}}
    said = BATCHES[judging(found)](found.weights, threads, how, batch)
    return before, said["motion"]


def judging(found: Model) -> Literal["trace", "composed"]:
    """How a model that judges is asked. Raises `ModelError` for one that does not."""
    if found.answers == "trace":
        return "trace"
    if found.answers == "composed":
        return "composed"
    raise ModelError(
        f"model '{found.name}' answers with motions alone; it judges and refines none: take another --model"
    )
