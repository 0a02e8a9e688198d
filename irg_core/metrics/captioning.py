"""Captioning: how near a row's sentence for a motion is to the sentences that people wrote for it.

Words are compared lower-cased and without punctuation. BLEU is of the corpus and unsmoothed (Papineni et al. 2002),
ROUGE-L the F-measure of the longest common subsequence (Lin 2004), CIDEr its variant D of the field's scripts (Vedantam
et al. 2015). All three want the same words; `caption_likeness` asks an evaluator's text encoder instead.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from irg_core.records.evaluation import Measure, Samples
from irg_core.records.wording import words
from irg_core.seeds import rng

OF = "words"
LONGEST = 4
"""Words of the longest n-gram, of BLEU and of CIDEr."""
SIGMA = 6.0
"""CIDEr-D: words by which a sentence may miss the length of a reference before its likeness falls to 0.6."""

Words = Sequence[str]


def compute(samples: Samples) -> list[Measure]:
    """`bleu_1`, `bleu_4`, `rouge_l` (0 to 1) and `cider` (0 to 10)."""
    if not samples.said:
        return []
    said = [words(text) for text in samples.said]
    references = [[words(text) for text in texts] for texts in samples.references]
    return [
        *_bleu(said, references, samples),
        Measure.of_clips("rouge_l", np.array([rouge_l(one, refs) for one, refs in zip(said, references, strict=True)])),
        Measure.of_clips("cider", cider(said, references)),
    ]


# --- BLEU -------------------------------------------------------------------------------------------------------------


def _bleu(said: Sequence[Words], references: Sequence[Sequence[Words]], samples: Samples) -> list[Measure]:
    """Of the corpus, so no mean of clips; the interval is 1.96 sigma over bootstrap draws of clips."""
    counts = np.array([bleu_counts(one, refs) for one, refs in zip(said, references, strict=True)])
    clips, protocol = len(counts), samples.protocol
    draws = [rng(protocol.seed, "bleu", draw).integers(clips, size=clips) for draw in range(protocol.redraws)]
    found = []
    for order in (1, LONGEST):
        drawn = np.array([bleu(counts[rows].sum(axis=0), order) for rows in draws])
        interval = float(1.96 * drawn.std(ddof=1))
        mean = bleu(counts.sum(axis=0), order)
        found.append(Measure(f"bleu_{order}", mean, interval, 0.0, clips, tuple(drawn.tolist()), "draws"))
    return found


def bleu_counts(said: Words, references: Sequence[Words]) -> list[int]:
    """For n = 1 to 4 the n-grams of a sentence that some reference has as often, then all its n-grams; its words, and
    those of the reference nearest in length, of two the shorter."""
    right, every = [], []
    for n in range(1, LONGEST + 1):
        own = grams(said, n)
        most: Counter[Words] = Counter()
        for reference in references:
            most |= grams(reference, n)
        right.append((own & most).total())
        every.append(own.total())
    nearest = min((abs(len(reference) - len(said)), len(reference)) for reference in references)[1]
    return [*right, *every, len(said), nearest]


def bleu(counts: np.ndarray, order: int) -> float:
    """The geometric mean of the precisions up to an order, shortened for brevity; from summed `bleu_counts`."""
    right, every = counts[:order].astype(np.float64), counts[LONGEST : LONGEST + order].astype(np.float64)
    length, wanted = float(counts[-2]), float(counts[-1])
    if not length or (right == 0).any():
        return 0.0
    brevity = min(1.0, np.exp(1.0 - wanted / length))
    return float(brevity * np.exp(np.log(right / every).mean()))


def grams(sentence: Words, n: int) -> Counter[Words]:
    """The n-grams of a sentence and how often each occurs."""
    return Counter(tuple(sentence[start : start + n]) for start in range(len(sentence) - n + 1))


# --- ROUGE-L ----------------------------------------------------------------------------------------------------------


def rouge_l(said: Words, references: Sequence[Words]) -> float:
    """The best F-measure (beta 1) of the longest common subsequence with a reference."""
    return max(_f_measure(common(said, reference), len(said), len(reference)) for reference in references)


def _f_measure(shared: int, said: int, wanted: int) -> float:
    return 2.0 * shared / (said + wanted) if shared else 0.0


def common(one: Words, two: Words) -> int:
    """Words of the longest common subsequence."""
    lengths = [0] * (len(two) + 1)
    for word in one:
        diagonal = 0
        for place, other in enumerate(two, start=1):
            above = lengths[place]
            lengths[place] = diagonal + 1 if word == other else max(above, lengths[place - 1])
            diagonal = above
    return lengths[-1]


# --- CIDEr-D ----------------------------------------------------------------------------------------------------------


def cider(said: Sequence[Words], references: Sequence[Sequence[Words]]) -> np.ndarray:
    """CIDEr-D of each sentence [n], 0 to 10: cosines of n-grams weighted by how few clips' references have them, no
    n-gram counting more often than in the reference, damped by the difference in length."""
    clips: Counter[Words] = Counter()
    for refs in references:
        clips.update({gram for reference in refs for gram in _all_grams(reference)})
    total = float(np.log(len(references)))
    scores = []
    for sentence, refs in zip(said, references, strict=True):
        own = _weighted(sentence, clips, total)
        scores.append(np.mean([_likeness(own, _weighted(reference, clips, total)) for reference in refs]))
    return 10.0 * np.array(scores)


Weighted = tuple[list[dict[Words, float]], int]


def _weighted(sentence: Words, clips: Counter[Words], total: float) -> Weighted:
    """Weights of the n-grams for each n, and the sentence's length (in pairs of words, as the field's scripts do)."""
    weights: list[dict[Words, float]] = [{} for _ in range(LONGEST)]
    for gram, count in _all_grams(sentence).items():
        weights[len(gram) - 1][gram] = count * (total - np.log(max(1.0, clips[gram])))
    return weights, max(0, len(sentence) - 1)


def _likeness(one: Weighted, two: Weighted) -> float:
    damping = np.exp(-((one[1] - two[1]) ** 2) / (2.0 * SIGMA**2))
    cosines = []
    for own, others in zip(one[0], two[0], strict=True):
        shared = sum(min(weight, others[gram]) * others[gram] for gram, weight in own.items() if gram in others)
        size = np.sqrt(sum(w * w for w in own.values())) * np.sqrt(sum(w * w for w in others.values()))
        cosines.append(shared / size if size else shared)
    return float(damping * np.mean(cosines))


def _all_grams(sentence: Words) -> Counter[Words]:
    found: Counter[Words] = Counter()
    for n in range(1, LONGEST + 1):
        found += grams(sentence, n)
    return found
