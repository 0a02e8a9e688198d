"""When two captions say the same thing in nearly the same words.

Order counts, and so does every content word: "left" for "right" must never pass as a near-identical caption, however
long the sentence is. Hence pairs of neighbouring words are compared as well as words.
"""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_WHO = ("someone", "somebody", "person", "man", "woman", "figure", "he", "she", "they", "his", "her", "their")
_EMPTY_WORDS = frozenset({"a", "an", "the", "this", *_WHO})
"""Words that tell no motion from another: who moves is not part of what is done."""


def words(text: str) -> list[str]:
    """The words of a sentence, lower-cased, without punctuation."""
    return _WORD.findall(text.lower())


def near_identical(texts: Sequence[str], others: Sequence[str], overlap: float) -> np.ndarray:
    """Whether text i and other j are near-identical, [texts, others] bool: their grams overlap by `overlap` or more."""
    one, two = ([_grams(text) for text in side] for side in (texts, others))
    listed: dict[object, list[int]] = {}
    for place, grams in enumerate(two):
        for gram in grams:
            listed.setdefault(gram, []).append(place)
    holders = {gram: np.array(places) for gram, places in listed.items()}
    nobody = np.zeros(0, dtype=np.int64)
    sizes = np.array([len(grams) for grams in two], dtype=np.int64)
    found = np.zeros((len(one), len(two)), dtype=bool)
    for row, grams in enumerate(one):
        # Only sentences that share a gram are touched: four thousand against each other take a second.
        places = np.concatenate([nobody, *(holders[gram] for gram in grams if gram in holders)])
        shared = np.bincount(places, minlength=len(two))
        union = len(grams) + sizes - shared
        found[row] = np.where(union > 0, shared / np.maximum(union, 1), 1.0) >= overlap
    return found


def _grams(text: str) -> frozenset[tuple[object, int]]:
    """The multiset of content words and neighbouring pairs, as a set of (gram, how many-th)."""
    content = ["", *(word for word in words(text) if word not in _EMPTY_WORDS), ""]
    counts: Counter[object] = Counter([*content[1:-1], *itertools.pairwise(content)])
    return frozenset((gram, occurrence) for gram, count in counts.items() for occurrence in range(count))
