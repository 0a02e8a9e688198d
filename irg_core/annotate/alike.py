"""Rows that say nearly the same: which of them stay, where there are too many.

Two texts are nearly the same if their telling words are, in the same order. Who stays is drawn by the rows' keys, so
that it depends neither on the order of the rows nor on what else is in the corpus.
"""

import hashlib
import re
from array import array

import numpy as np

FEW = 40
"""Rows that may say the same in any corpus, however small: the same flaw does ask for the same words."""
_SILENT = frozenset((
    "a", "an", "and", "as", "at", "be", "but", "by", "for", "from", "goal", "has", "in", "instead", "is", "it", "its",
    "motion", "of", "on", "one", "person", "rather", "so", "than", "that", "the", "then", "there", "this", "to", "was",
    "with",
))  # fmt: skip
"""Words that tell no text from another."""


class Alike:
    """Rows as they come, sixteen bytes each; then which of them are too many."""

    def __init__(self) -> None:
        self._texts = array("Q")
        self._lots = array("Q")

    def add(self, key: str, text: str) -> None:
        self._texts.append(_hash(" ".join(word for word in re.findall(r"\w+", text.lower()) if word not in _SILENT)))
        self._lots.append(_hash(key))

    def stay(self, share: float) -> np.ndarray:
        """Whether each row stays [rows], in the order in which they came: of each text at most `share` of all rows."""
        texts, lots = np.frombuffer(self._texts, np.uint64), np.frombuffer(self._lots, np.uint64)
        most = max(FEW, int(share * len(texts)))
        order = np.lexsort((lots, texts))
        ranked = texts[order]
        first = np.flatnonzero(np.diff(ranked, prepend=ranked[:1]) != 0)
        starts = np.concatenate([[0], first]) if len(ranked) else first
        place = np.arange(len(ranked)) - np.repeat(starts, np.diff(starts, append=len(ranked)))
        stays = np.ones(len(texts), bool)
        stays[order[place >= most]] = False
        return stays


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
