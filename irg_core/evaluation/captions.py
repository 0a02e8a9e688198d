"""What models say of real motions: the caption task, put to every kind of model that was trained on it."""

from irg_core.dialogue import motion
from irg_core.evaluation.answers import Asked, Kind, told
from irg_core.tasks import caption

SPEAKING: tuple[Kind, ...] = ("composed", "trace")
"""Base has learned to make motions only."""


def captions(asked: Asked, kind: Kind) -> list[str]:
    """One sentence for the motion of each goal, in their order; nothing of a kind of model that does not speak."""
    if kind not in SPEAKING:
        return []
    codes = asked.tokenizer.encode([goal.clip.features for goal in asked.goals])
    prompts = {
        goal.caption_id: caption.TEMPLATES[0].format(motion=motion(tokens))
        for goal, tokens in zip(asked.goals, codes, strict=True)
    }
    (answers,) = told(asked, [("text", prompts)])
    return [answers[goal.caption_id].text.strip() for goal in asked.goals]
