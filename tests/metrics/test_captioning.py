"""Captioning against plain formulas, and against the libraries that the field scores with, where they are installed."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.metrics import caption_likeness, captioning
from irg_core.records.wording import words
from tests.metrics.conftest import Draw, Make

WORDS = ["a", "person", "walks", "forward", "and", "turns", "left", "twice"]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9)
CORPUS = st.lists(st.tuples(SENTENCES, st.lists(SENTENCES, min_size=1, max_size=3)), min_size=2, max_size=6)
Corpus = list[tuple[list[str], list[list[str]]]]


def _bleu(corpus: Corpus, order: int) -> float:
    counts = np.sum([captioning.bleu_counts(said, references) for said, references in corpus], axis=0)
    return captioning.bleu(counts, order)


def _cider(corpus: Corpus) -> np.ndarray:
    said, references = zip(*corpus, strict=True)
    return captioning.cider(said, references)


def test_a_sentence_that_people_wrote_is_perfect() -> None:
    corpus = [(["a", "person", "walks", "forward", "and", word], [["a", "person", "walks", "forward", "and", word]])
              for word in ("turns", "stops", "waves")]  # fmt: skip
    assert _bleu(corpus, 1) == _bleu(corpus, 4) == 1.0
    assert all(captioning.rouge_l(said, references) == 1.0 for said, references in corpus)
    assert _cider(corpus) == pytest.approx(10.0)


def test_words_that_nobody_wrote_are_worth_nothing() -> None:
    corpus = [(["dog"] * 5, [["a", "person", "walks"]]), (["cat"] * 5, [["a", "person", "turns"]])]
    assert _bleu(corpus, 1) == 0.0
    assert captioning.rouge_l(*corpus[0]) == 0.0
    assert _cider(corpus) == pytest.approx(0.0)


def test_a_word_said_too_often_counts_only_as_often_as_it_was_written() -> None:
    """The example of the BLEU paper: seven times "the" has two of seven right."""
    counts = captioning.bleu_counts(["the"] * 7, [["the", "cat", "is", "on", "the", "mat"]])
    assert counts[0] / counts[4] == pytest.approx(2 / 7)


def test_short_answers_pay_for_their_brevity() -> None:
    reference = ["a", "person", "walks", "forward"]
    assert _bleu([(reference[:2], [reference])], 1) == pytest.approx(math.exp(1 - 4 / 2))


def test_rouge_l_counts_what_comes_in_the_same_order() -> None:
    reference = ["police", "killed", "the", "gunman"]
    assert captioning.rouge_l(["police", "kill", "the", "gunman"], [reference]) == pytest.approx(3 / 4)
    assert captioning.rouge_l(["the", "gunman", "kill", "police"], [reference]) == pytest.approx(2 / 4)
    assert captioning.rouge_l(["police"], [["x"], reference]) == pytest.approx(2 * 1 / 5)


def _plain_cider(corpus: Corpus, clip: int) -> float:
    """CIDEr-D by its formula, with dense vectors over all n-grams of the corpus."""
    score = 0.0
    said, references = corpus[clip]
    for n in range(1, 5):

        def grams(sentence: list[str], n: int = n) -> Counter[tuple[str, ...]]:
            return Counter(zip(*(sentence[k:] for k in range(n)), strict=False))

        vocabulary = sorted({g for one, refs in corpus for text in [one, *refs] for g in grams(text)})
        holders = {g: sum(any(g in grams(ref) for ref in refs) for _, refs in corpus) for g in vocabulary}
        idf = np.array([math.log(len(corpus)) - math.log(max(1, holders[g])) for g in vocabulary])

        def vector(sentence: list[str], vocabulary: list = vocabulary, idf: np.ndarray = idf) -> np.ndarray:
            counts = grams(sentence)
            return np.array([counts[g] for g in vocabulary]) * idf

        own = vector(said)
        for reference in references:
            other = vector(reference)
            size = np.linalg.norm(own) * np.linalg.norm(other)
            if size:
                damping = math.exp(-((len(said) - len(reference)) ** 2) / 72)
                score += damping * (np.minimum(own, other) @ other) / size / len(references)
    return 10 * score / 4


@settings(max_examples=40)
@given(CORPUS)
def test_cider_is_that_of_the_plain_formula(corpus: Corpus) -> None:
    assert _cider(corpus) == pytest.approx([_plain_cider(corpus, clip) for clip in range(len(corpus))], abs=1e-9)


@settings(max_examples=40)
@given(SENTENCES, SENTENCES)
def test_the_longest_common_subsequence_is_that_of_trying_all(one: list[str], two: list[str]) -> None:
    def longest(i: int, j: int) -> int:
        if i == len(one) or j == len(two):
            return 0
        if one[i] == two[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    one, two = one[:6], two[:6]
    assert captioning.common(one, two) == captioning.common(two, one) == longest(0, 0)


@settings(max_examples=40)
@given(CORPUS)
def test_bleu_is_that_of_sacrebleu(corpus: Corpus) -> None:
    sacrebleu = pytest.importorskip("sacrebleu", reason="a development oracle")
    most = max(len(references) for _, references in corpus)
    streams = [
        [" ".join(references[k]) if k < len(references) else None for _, references in corpus] for k in range(most)
    ]
    for order in (1, 4):
        oracle = sacrebleu.BLEU(smooth_method="none", tokenize="none", max_ngram_order=order)
        expected = oracle.corpus_score([" ".join(said) for said, _ in corpus], streams).score / 100
        assert _bleu(corpus, order) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40)
@given(SENTENCES, SENTENCES)
def test_rouge_l_is_that_of_rouge_score(said: list[str], reference: list[str]) -> None:
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="a development oracle")
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    expected = scorer.score(" ".join(reference), " ".join(said))["rougeL"].fmeasure
    assert captioning.rouge_l(said, [reference]) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40)
@given(CORPUS)
def test_cider_is_that_of_the_fields_scripts(corpus: Corpus) -> None:
    scorers = pytest.importorskip("pycocoevalcap.cider.cider_scorer", reason="a development oracle")
    scorer = scorers.CiderScorer(n=4, sigma=6.0)
    for said, references in corpus:
        scorer += (" ".join(said), [" ".join(reference) for reference in references])
    _, expected = scorer.compute_score()
    assert _cider(corpus) == pytest.approx(expected, abs=1e-9)


def test_the_metric_reads_sentences_and_asks_the_text_encoder(points: Draw, samples: Make) -> None:
    said = [f"A person walks, {word}." for word in ("forward", "backward", "left", "right")]
    texts = points(4)
    drawn = samples(texts, texts, said=said, said_points=2.0 * texts, references=[[text.lower()] for text in said])
    found = {measure.metric: measure for measure in captioning.compute(drawn)}
    assert {name: round(measure.mean, 6) for name, measure in found.items()} == {
        "bleu_1": 1.0, "bleu_4": 1.0, "rouge_l": 1.0, "cider": 10.0,
    }  # fmt: skip
    (likeness,) = caption_likeness.compute(drawn)
    assert likeness.mean == pytest.approx(1.0)
    assert words(said[0]) == ["a", "person", "walks", "forward"]
