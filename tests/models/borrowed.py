"""Models as others leave them in a folder: small, random, with a tokenizer in SentencePiece's manner."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import Gemma2Config, Gemma2ForCausalLM

TEXTS = [
    "a person walks forward.", "someone turns left, then jumps twice.", "a man waves with the right hand.",
    "the person bends down and picks something up.", "he walks in a circle, slowly.", "she kicks with the left leg.",
] * 4  # fmt: skip
MARKS = ["<pad>", "<eos>", "<bos>", "<unk>"]
WINDOW = 8
"""Of Gemma's sliding attention: shorter than a goal and its motion, so that it slides."""


def sentencepiece(texts: list[str], size: int) -> Tokenizer:
    """As Llama's: a space is ▁, one more stands before each text, and what is in no piece is spelled in bytes."""
    learned = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    learned.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=MARKS, show_progress=False)
    learned.train_from_iterator(texts, trainer)
    parts = json.loads(learned.to_str())["model"]
    pieces = [*MARKS, *(f"<0x{byte:02X}>" for byte in range(256)), *(one for one in parts["vocab"] if one not in MARKS)]
    merges = [tuple(pair) for pair in parts["merges"]]
    bpe = models.BPE({piece: place for place, piece in enumerate(pieces)}, merges, byte_fallback=True, fuse_unk=True)
    bpe.unk_token = "<unk>"
    whole = Tokenizer(bpe)
    whole.normalizer = learned.normalizer
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    whole.decoder = decoders.Sequence(steps)
    whole.add_special_tokens(MARKS)
    return whole


def save_gemma(folder: Path, size: int = 420) -> Path:
    """A Gemma 2 of random weights: alternately sliding attention, soft caps, tied embeddings."""
    tokenizer = sentencepiece(TEXTS, size)
    config = Gemma2Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=48, num_hidden_layers=2, head_dim=8,
        num_attention_heads=4, num_key_value_heads=2, sliding_window=WINDOW, max_position_embeddings=640,
        query_pre_attn_scalar=8, pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        Gemma2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    marks = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    said = {"tokenizer_class": "PreTrainedTokenizerFast", **marks}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    (folder / "README.md").write_text("---\nlicense: gemma\n---\n# A small one\n")
    return folder
