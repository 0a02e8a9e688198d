import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from irg_core import dialogue
from irg_core.errors import ModelError, ParamsError
from irg_core.models import adapters, cutting, pretrained
from irg_core.models.adapters import LoraParams
from irg_core.models.backbones import hf, smollm2
from irg_core.models.card import Origin
from irg_core.models.decoding import Sampling, Symbols, allowed_masks, generate
from irg_core.models.language import Language, causal, hidden_states, logits, trained
from irg_core.models.vocabulary import STRUCTURE
from tests.models.borrowed import MARKS, TEXTS, WINDOW, save_gemma

CODES = 16
LORA = LoraParams(rank=2, alpha=4, targets="all-linear")
TRACE = dialogue.Trace("walks, slowly", (dialogue.Round((1, 15), "it fits", dialogue.SENTINEL),))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma(tmp_path_factory.mktemp("gemma"))


@pytest.fixture
def gemma(folder: Path) -> Language:
    return hf.create(hf.Settings(str(folder), "main"), TEXTS, CODES, 7)


def scores(model: torch.nn.Module, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        return logits(model, hidden_states(model.eval(), input_ids=ids))


# ---- the vocabulary --------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_borrowed_vocabulary_gives_any_text_back_also_between_tags(folder: Path, text: str) -> None:
    vocabulary = hf.create(hf.Settings(str(folder), "main"), TEXTS, CODES, 7).vocabulary
    if "▁" not in text:  # is its way to write a space
        for whole in (text, f"<think>[plan]{text}[/plan]", f"{text}{dialogue.motion([3])} {text}"):
            assert vocabulary.decode(vocabulary.encode(whole)) == whole


def test_tags_and_codes_are_one_token_each_behind_the_known_pieces(gemma: Language, folder: Path) -> None:
    vocabulary, known = gemma.vocabulary, Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    for symbol in [*STRUCTURE, *map(dialogue.code, range(CODES))]:
        assert vocabulary.encode(symbol) == [vocabulary.id(symbol)]
        assert vocabulary.id(symbol) >= known or symbol in MARKS
    assert vocabulary.codes == CODES
    assert vocabulary.size == gemma.model.config.vocab_size == len(gemma.model.get_input_embeddings().weight)


def test_a_trace_is_spelled_in_pieces_from_which_it_is_read_again(gemma: Language) -> None:
    ids = gemma.vocabulary.encode(dialogue.render(TRACE))
    assert dialogue.parse(gemma.vocabulary.decode(ids), CODES) == TRACE


def test_plain_text_is_neither_our_tags_nor_their_marks(gemma: Language) -> None:
    vocabulary = gemma.vocabulary
    assert not {*vocabulary.symbols, *map(vocabulary.id, MARKS)} & {*vocabulary.plain}
    assert len(vocabulary.plain) + len({*vocabulary.symbols, *map(vocabulary.id, MARKS)}) == vocabulary.size
    assert {vocabulary.decode([index])[0] for index in vocabulary.spaced} == {" "}


@pytest.mark.parametrize("mode", ["motion", "enforced"])
def test_what_a_borrowed_model_says_keeps_the_grammar_and_equals_what_it_says_uncached(
    gemma: Language, mode: str
) -> None:
    sampling = Sampling(
        seed=1, temperature=0.0, top_p=1.0, max_tokens=200, max_codes=30, max_text=12, max_rounds=2, batch=4
    )
    goals = {"a": "a person walks.", "b": "someone turns left, then jumps twice, then turns left again."}
    for key, answer in generate(gemma, goals, mode, sampling).items():  # type: ignore[arg-type]
        ids = [*gemma.vocabulary.chat(goals[key]), *answer.ids]
        assert len(ids) > WINDOW
        allowed = allowed_masks(Symbols(gemma.vocabulary), mode, sampling, answer)  # type: ignore[arg-type]
        due = scores(gemma.model, torch.tensor([ids]))[0, -len(answer.ids) - 1 : -1].masked_fill(~allowed, -torch.inf)
        assert due.argmax(1).tolist() == answer.ids


# ---- the weights -----------------------------------------------------------------------------------------------------


def test_texts_score_as_before_among_the_pieces_that_were_known(gemma: Language, folder: Path) -> None:
    theirs = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.tensor([gemma.vocabulary.encode("a person walks forward.")])
    with torch.inference_mode():
        before = theirs(ids).logits
    assert torch.equal(scores(gemma.model, ids)[..., : before.shape[-1]], before)


def test_new_rows_begin_around_the_mean_and_user_as_the_mark_of_a_beginning(gemma: Language) -> None:
    rows, vocabulary = gemma.model.get_input_embeddings().weight.detach(), gemma.vocabulary
    known = rows[: vocabulary.id("<user>")]
    codes = rows[vocabulary.first_code : vocabulary.first_code + CODES]
    assert (codes - known.mean(0)).abs().max() < 0.6 * known.std()
    assert len({tuple(row.tolist()) for row in codes}) == CODES
    assert torch.equal(rows[vocabulary.user], rows[vocabulary.id("<bos>")])
    assert torch.equal(rows[vocabulary.end], rows[vocabulary.id("<eos>")])


def test_a_saved_model_opens_in_transformers_and_says_the_same(gemma: Language, tmp_path: Path) -> None:
    gemma.save(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    text = f"<user>a person walks.<assistant>{dialogue.render(TRACE)}<end>"
    ids = AutoTokenizer.from_pretrained(tmp_path)(text, add_special_tokens=False)["input_ids"]
    assert ids == gemma.vocabulary.encode(text)
    ours = Language.load(tmp_path)
    with torch.inference_mode():
        assert torch.equal(theirs(torch.tensor([ids])).logits, scores(ours.model, torch.tensor([ids])))
    assert {file.suffix for file in tmp_path.iterdir()} == {"", ".json", ".md", ".safetensors"}


def test_the_card_says_what_the_model_began_as_and_went_through(gemma: Language, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "table").write_text("rows")
    gemma.begin("train_base", [tmp_path / "table"], LORA, 1)
    gemma.save(tmp_path)
    again = Language.load(tmp_path)
    again.begin("train_stage1", [tmp_path / "table"], None, 1)
    again.save(tmp_path)
    said = (tmp_path / "README.md").read_text()
    for due in (f"| base | {folder.name} |", "license: gemma", "| train_base |", "LoRA of rank 2", "| train_stage1 |"):
        assert due in said
    assert [one.stage for one in Language.load(tmp_path).origin.trainings] == ["train_base", "train_stage1"]


# ---- adapters --------------------------------------------------------------------------------------------------------


def taught(language: Language, steps: int = 3) -> Tensor:
    """A few steps towards a motion; ids on which it was taught."""
    ids = torch.tensor([language.vocabulary.encode(f"<user>walk<assistant>{dialogue.motion([1, 2, 3])}<end>")])
    optimizer = torch.optim.AdamW(trained(language.model), lr=0.05, weight_decay=0.1)
    for _ in range(steps):
        language.model.train()
        said = logits(language.model, hidden_states(language.model, input_ids=ids))
        torch.nn.functional.cross_entropy(said[0, :-1], ids[0, 1:]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return ids


def test_adapters_say_nothing_at_first_and_are_all_that_learns(gemma: Language) -> None:
    before = {name: weight.detach().clone() for name, weight in gemma.model.named_parameters()}
    ids = torch.tensor([gemma.vocabulary.encode("a person walks forward.")])
    plain = scores(gemma.model, ids)
    gemma.begin("train_base", [], LORA, 1)
    assert torch.equal(scores(gemma.model, ids), plain)
    learning = {name for name, weight in gemma.model.named_parameters() if weight.requires_grad}
    assert all("lora_" in name or name.endswith(".rows") for name in learning)
    assert sum("lora_A" in name for name in learning) == 2 * 7
    ids = taught(gemma)
    after = dict(causal(gemma.model).named_parameters())
    for name, weight in before.items():
        still = next(found for other, found in after.items() if _bare(other) == name)
        assert torch.equal(still, weight), name


def _bare(name: str) -> str:
    return name.replace("base_layer.", "").replace("whole.", "")


def test_merged_adapters_say_the_same_and_only_rows_of_symbols_have_moved(gemma: Language, tmp_path: Path) -> None:
    before = gemma.model.get_input_embeddings().weight.detach().clone()
    gemma.begin("train_base", [], LORA, 1)
    ids = taught(gemma)
    adapted = scores(gemma.model, ids)
    gemma.save(tmp_path)
    merged = Language.load(tmp_path)
    assert (scores(merged.model, ids) - adapted).abs().max() < 1e-5
    rows = merged.model.get_input_embeddings().weight.detach()
    moved = (rows != before).any(1).nonzero()[:, 0].tolist()
    assert set(moved) <= set(gemma.vocabulary.symbols)
    assert set(moved) >= {gemma.vocabulary.first_code + code for code in (1, 2, 3)}
    assert rows.data_ptr() == merged.model.get_output_embeddings().weight.data_ptr(), "no longer tied"


def test_without_its_adapters_a_model_speaks_as_before(gemma: Language) -> None:
    ids = torch.tensor([gemma.vocabulary.encode(f"walk{dialogue.motion([1, 2])}")])
    before = scores(gemma.model, ids)
    gemma.begin("train_stage3", [], LORA, 1)
    taught(gemma)
    with adapters.unadapted(gemma.model):
        assert torch.equal(scores(gemma.model, ids), before)
    assert not torch.allclose(scores(gemma.model, ids), before)


def test_untied_rows_learn_at_both_ends() -> None:
    config = LlamaConfig(
        vocab_size=30, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=False, pad_token_id=0, bos_token_id=None, eos_token_id=1, attn_implementation="eager",
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    ids = torch.tensor([[3, 28, 29, 4]])
    adapted = adapters.adapt(model, LORA, [28, 29], 1)
    optimizer = torch.optim.AdamW(trained(adapted), lr=0.1)
    torch.nn.functional.cross_entropy(logits(adapted, hidden_states(adapted, input_ids=ids))[0], ids[0]).backward()
    optimizer.step()
    after = scores(adapted, ids)
    merged = adapters.merge(adapted)
    assert (scores(merged, ids) - after).abs().max() < 1e-5
    assert merged.lm_head.weight.data_ptr() != merged.get_input_embeddings().weight.data_ptr()


def test_targets_that_the_model_lacks_are_answered_with_those_that_it_has(gemma: Language) -> None:
    with pytest.raises(ParamsError, match=r"lora\.targets \['querry'\].*down_proj, gate_proj"):
        gemma.begin("train_base", [], LoraParams(2, 4, ["querry"]), 1)


# ---- a smaller vocabulary --------------------------------------------------------------------------------------------


def bytelevel() -> tuple[Tokenizer, LlamaForCausalLM]:
    """A byte-level BPE as SmolLM2's, and a model that speaks it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, intermediate_size=16, num_hidden_layers=3,
        num_attention_heads=2, tie_word_embeddings=True, bos_token_id=None, eos_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    return tokenizer, LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("merges", [0, 20, 60])
def test_a_cut_vocabulary_reads_what_it_was_cut_for_in_the_same_pieces_and_scores_them_the_same(merges: int) -> None:
    tokenizer, model = bytelevel()
    texts = TEXTS[:2]
    before = {text: tokenizer.encode(text).tokens for text in texts}
    places = {text: tokenizer.encode(text).ids for text in texts}
    scored = {text: scores(model, torch.tensor([places[text]])) for text in texts}
    cut = cutting.cut_vocabulary(model, tokenizer, texts, merges)
    assert cut.get_vocab_size() < tokenizer.get_vocab_size()
    for text in texts:
        found = cut.encode(text)
        assert found.tokens == before[text]
        again = scores(model, torch.tensor([found.ids]))
        assert torch.equal(again[..., found.ids], scored[text][..., places[text]])
    for other in (TEXTS[3], "naïve 🤸 <Motion_3>"):
        assert cut.decode(cut.encode(other).ids) == other


def test_fewer_layers_are_the_first_ones() -> None:
    _, model = bytelevel()
    first = [layer.mlp.up_proj.weight for layer in model.model.layers[:2]]
    cutting.cut_layers(model, 2)
    assert [layer.mlp.up_proj.weight for layer in model.model.layers] == first
    assert model.config.num_hidden_layers == 2
    with pytest.raises(ParamsError, match="the model has 2"):
        cutting.cut_layers(model, 3)


def test_a_vocabulary_of_another_kind_is_not_cut() -> None:
    with pytest.raises(ModelError, match="Unigram cannot be cut"):
        cutting.cut_vocabulary(None, Tokenizer(models.Unigram([("a", 0.0)], 0)), [], 1)


# ---- bad folders -----------------------------------------------------------------------------------------------------


def copied(folder: Path, place: Path) -> Path:
    shutil.copytree(folder, place)
    return place


@pytest.mark.parametrize("lost", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_told_which(folder: Path, tmp_path: Path, lost: str) -> None:
    place = copied(folder, tmp_path / "model")
    (place / lost).unlink()
    with pytest.raises(ModelError, match=rf"{place} lacks (its weights, \*\.safetensors|{lost})"):
        hf.create(hf.Settings(str(place), "main"), TEXTS, CODES, 7)


def test_pickled_weights_are_never_opened(folder: Path, tmp_path: Path) -> None:
    place = copied(folder, tmp_path / "model")
    (place / "model.safetensors").rename(place / "pytorch_model.bin")
    for attempt in (lambda: hf.create(hf.Settings(str(place), "main"), TEXTS, CODES, 7), lambda: Language.load(place)):
        with pytest.raises(ModelError, match=r"a pickle \(pytorch_model\.bin\), which is never opened"):
            attempt()


def test_weights_of_which_a_part_is_lost_are_refused(folder: Path, gemma: Language, tmp_path: Path) -> None:
    gemma.model.save_pretrained(tmp_path, max_shard_size="30KB")
    gemma.vocabulary.save(tmp_path)
    (part, *_) = sorted(tmp_path.glob("model-*.safetensors"))
    part.unlink()
    with pytest.raises(ModelError, match=f"lacks {part.name}, named in its index"):
        Language.load(tmp_path)


def test_weights_that_are_cut_short_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    place = copied(folder, tmp_path / "model")
    weights = place / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=f"{place} cannot be opened: "):
        hf.create(hf.Settings(str(place), "main"), TEXTS, CODES, 7)


def test_a_tokenizer_that_the_weights_never_saw_is_refused(gemma: Language, tmp_path: Path) -> None:
    gemma.save(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text.replace("▁walks", "▁klaws"))
    with pytest.raises(ModelError, match="is not the vocabulary that the weights beside it learned"):
        Language.load(tmp_path)


def test_a_model_that_knows_other_codes_than_the_motion_tokenizer_is_refused(gemma: Language, tmp_path: Path) -> None:
    gemma.save(tmp_path)
    again = hf.create(hf.Settings(str(tmp_path), "main"), TEXTS, CODES, 7)
    assert again.vocabulary.size == gemma.vocabulary.size, "its tags and codes are its own already"
    with pytest.raises(ModelError, match="knows 16 motion codes, the motion tokenizer 8"):
        hf.create(hf.Settings(str(tmp_path), "main"), TEXTS, CODES // 2, 7)


def test_code_that_comes_with_a_model_is_never_run(folder: Path, tmp_path: Path) -> None:
    place = copied(folder, tmp_path / "model")
    config = json.loads((place / "config.json").read_text())
    said = {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.Evil"}
    (place / "config.json").write_text(json.dumps(config | {"model_type": "evil", "auto_map": said}))
    (place / "evil.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    with pytest.raises(ModelError, match=f"{place} cannot be opened"):
        hf.create(hf.Settings(str(place), "main"), TEXTS, CODES, 7)
    assert not (tmp_path / "run").exists()


def test_a_hub_out_of_reach_is_answered_with_the_way_round(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"someone/model is no folder here.*name its folder instead"):
        hf.create(hf.Settings("someone/model", "main"), TEXTS, CODES, 7)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="SmolLM2's weights is not installed; `make local-llm`"):
        smollm2.create(smollm2.Settings(8, True, 4000), TEXTS, CODES, 7)


def test_what_does_not_fit_into_the_model_is_told_before_it_is_tried(gemma: Language) -> None:
    gemma.make_room(640, "the goal")
    short = Sampling(seed=1, temperature=0.0, top_p=1.0, max_tokens=4, max_codes=2, max_text=2, max_rounds=1, batch=1)
    with pytest.raises(ModelError, match="the prompt of 'long' and one token more takes"):
        generate(gemma, {"long": "walks " * 700}, "motion", short)
    with pytest.raises(ModelError, match="the goal takes 641 tokens; the model has room for 640"):
        gemma.make_room(641, "the goal")


def test_a_model_without_a_card_is_called_by_its_folder(folder: Path) -> None:
    assert pretrained.licence(str(folder), "main") == "gemma"
    assert hf.create(hf.Settings(str(folder), "main"), TEXTS, CODES, 7).origin == Origin(folder.name, "", "gemma", ())
