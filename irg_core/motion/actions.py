"""The words for what is measured: whatever speaks of facts, or reads what others say of them, knows these."""

ACTIONS = (
    "walk", "run", "jump", "turn", "sidestep", "wave", "raise_arms", "punch", "kick", "squat", "bow", "stand",
    "sit", "kneel", "lie", "crawl",
)  # fmt: skip
"""What a phase can be; anything else is "other"."""

USED_IN_TEXTS = frozenset(
    {"action", "missing", "extra", "order", "side", "direction", "turn", "count", "speed", "amplitude", "distance"}
)
"""Kinds of fact that texts may speak of: precision >= 0.95 in benchmarks/facts_confusion.py."""
