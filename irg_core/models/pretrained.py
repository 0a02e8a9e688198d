"""Language models that others trained: opened from safetensors alone, and given rows for our tags and codes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import AddedToken, Tokenizer
from torch import Tensor

from irg_core import dialogue
from irg_core.errors import ModelError
from irg_core.models import folders
from irg_core.models.card import UNKNOWN, Origin
from irg_core.models.language import ATTENTION, Language
from irg_core.models.vocabulary import END, PAD, STRUCTURE, USER, Vocabulary

NOISE = 0.1
"""Of a new row around the mean of those known, as a share of their spread: enough to tell codes apart."""


def open_model(name: str, revision: str) -> Any:
    """The weights of a hub's model, or of a local folder, in float32. Raises `ModelError`, see `reached`."""
    from transformers import AutoConfig, AutoModelForCausalLM

    is_local = Path(name).is_dir()
    where: dict[str, Any] = {"revision": revision, "trust_remote_code": False, "local_files_only": is_local}
    with reached(name):
        config = AutoConfig.from_pretrained(name, **where)
        _without_dropout(config.get_text_config())
        model, info = AutoModelForCausalLM.from_pretrained(
            name,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation=ATTENTION,
            output_loading_info=True,
            **where,
        )
    if lost := sorted(info["missing_keys"]):
        raise ModelError(f"{name}: its weights lack {len(lost)} tensors, {lost[0]} among them; take another copy")
    return model


def _without_dropout(config: Any) -> None:
    """Nothing in a training may draw from a source of randomness that a checkpoint does not hold."""
    for name, value in vars(config).items():
        if name.endswith(("dropout", "pdrop")) and isinstance(value, float):
            setattr(config, name, 0.0)


def open_tokenizer(name: str, revision: str) -> tuple[Tokenizer, dict[str, str]]:
    """Its pieces, and its own marks for those of ours that mean the same. Raises `ModelError`, see `reached`."""
    from transformers import AutoTokenizer

    with reached(name):
        theirs = AutoTokenizer.from_pretrained(
            name, revision=revision, trust_remote_code=False, local_files_only=Path(name).is_dir()
        )
    if not theirs.is_fast:
        raise ModelError(
            f"{name}: its tokenizer has no tokenizer.json; convert it with transformers, and save it there"
        )
    marks = {USER: theirs.bos_token, END: theirs.eos_token, PAD: theirs.pad_token}
    return theirs.backend_tokenizer, {ours: mark for ours, mark in marks.items() if mark is not None}


class reached:  # noqa: N801 - reads as a claim where it is used
    """What goes wrong while a model is opened, as one `ModelError` that says what to do."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        if Path(self.name).is_dir():
            folders.check(Path(self.name), "download the whole model, as safetensors")

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError) and not Path(self.name).is_dir():
            raise ModelError(
                f"{self.name} is no folder here, and the hub gave nothing by that name ({_first_line(error)}); download"
                f" the model where there is a network, and name its folder instead"
            ) from error
        if isinstance(error, OSError | ValueError | RuntimeError | KeyError | SafetensorError):
            raise ModelError(f"{self.name} cannot be opened: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def licence(name: str, revision: str) -> str:
    """As the head of the model's README says it; "unknown" where there is none."""
    import yaml
    from transformers.utils import cached_file

    try:
        card = cached_file(name, "README.md", revision=revision, _raise_exceptions_for_missing_entries=False)
        head = Path(card).read_text(encoding="utf-8").split("---")[1] if card else ""
        return str((yaml.safe_load(head) or {}).get("license", UNKNOWN))
    except (OSError, IndexError, yaml.YAMLError, AttributeError):
        return UNKNOWN


def furnish(
    model: Any, tokenizer: Tokenizer, marks: Mapping[str, str], codes: int, seed: int, origin: Origin
) -> Language:
    """A pretrained model with our tags and codes behind its own pieces.

    `marks` says which of its tokens ours begin as, e.g. `<user>` as the mark that its texts began with: models lean on
    that one, and ours begin with `<user>`. Every other new row is the mean of the known ones and a little noise.
    """
    symbols = [*STRUCTURE, *map(dialogue.code, range(codes))]
    known = {mark: tokenizer.token_to_id(mark) for mark in marks.values()}
    plain = unprefixed(tokenizer)
    fresh = [symbol for symbol in symbols if plain.token_to_id(symbol) is None]
    plain.add_special_tokens([AddedToken(symbol, normalized=False) for symbol in symbols])
    vocabulary = Vocabulary(plain)
    with torch.random.fork_rng(devices=[]):
        model.resize_token_embeddings(vocabulary.size, mean_resizing=False)
    matrices = {id(one.weight): one for one in (model.get_input_embeddings(), model.get_output_embeddings())}
    for matrix in matrices.values():
        rows = _new_rows(matrix.weight.detach(), [vocabulary.id(symbol) for symbol in fresh], seed)
        rows |= {
            vocabulary.id(ours): matrix.weight.detach()[known[mark]].clone()
            for ours, mark in marks.items()
            if ours in fresh and known[mark] is not None
        }
        with torch.no_grad():
            for place, row in rows.items():
                matrix.weight[place] = row
    _settle(model, vocabulary)
    language = Language(model, vocabulary, origin)
    language.speak(codes)  # a model that was taught before may know more
    return language


def _new_rows(weight: Tensor, places: list[int], seed: int) -> dict[int, Tensor]:
    """Rows around the mean of those that are known [vocabulary, width], by their places."""
    known = torch.ones(len(weight), dtype=torch.bool)
    known[places] = False
    mean, spread = weight[known].mean(0), weight[known].std(0)
    draws = torch.randn(len(places), len(mean), generator=torch.Generator().manual_seed(seed % 2**63))
    return dict(zip(places, mean + NOISE * spread * draws, strict=True))


def _settle(model: Any, vocabulary: Vocabulary) -> None:
    """The model's own idea of where texts begin and end."""
    for config in (model.config.get_text_config(), model.generation_config):
        config.pad_token_id, config.bos_token_id, config.eos_token_id = vocabulary.pad, None, vocabulary.end


def unprefixed(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that puts no space before what it reads and strips none from what it writes, cuts and pads nothing.

    Ours are texts in stretches between tags: with a space of its own before each, no text would come back as it was.
    """
    parts = json.loads(tokenizer.to_str())
    parts["truncation"] = parts["padding"] = None
    for part in _parts(parts.get("normalizer"), "normalizers") + _parts(parts.get("pre_tokenizer"), "pretokenizers"):
        if part["type"] == "Metaspace":
            part["prepend_scheme"] = "never"
        if part["type"] == "ByteLevel":
            part["add_prefix_space"] = False
    if (normalizer := parts.get("normalizer")) is not None:
        kept = [part for part in _parts(normalizer, "normalizers") if part["type"] != "Prepend"]
        parts["normalizer"] = {"type": "Sequence", "normalizers": kept} if kept else None
    if (decoder := parts.get("decoder")) is not None:
        kept = [part for part in _parts(decoder, "decoders") if part["type"] != "Strip"]
        for part in kept:
            if part["type"] == "Metaspace":
                part["prepend_scheme"] = "never"
        parts["decoder"] = {"type": "Sequence", "decoders": kept}
    return Tokenizer.from_str(json.dumps(parts))


def _parts(part: dict[str, Any] | None, inside: str) -> list[dict[str, Any]]:
    """The steps of a part of a tokenizer, be it one or a sequence."""
    if part is None:
        return []
    return list(part[inside]) if part["type"] == "Sequence" else [part]
