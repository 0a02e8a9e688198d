"""analyse: a caption → what it asks for: action, body parts, direction, order, count, manner."""

from collections.abc import Iterator, Sequence

from irg_core.records.material import Material
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng

TEMPLATES = (
    "Analyse this goal: {goal}",
    "What does this text ask for? {goal}",
    "Break the goal into steps: {goal}",
    "List what a motion must show for: {goal}",
    "Take apart the request: {goal}",
    'Before moving, think: what is needed for "{goal}"',
    "Which actions, sides, directions and counts are in: {goal}",
    "{goal} What has to happen, in order?",
    "Work out the demands of: {goal}",
    "Explain what this motion needs: {goal}",
    "Make a checklist for: {goal}",
    "What are the parts of this motion? {goal}",
    "Read the goal and analyse it: {goal}",
    "Plan the motion for: {goal}",
    "What should a judge look for, given the goal: {goal}",
    "Say step by step what is asked: {goal}",
    "Goal: {goal} Analysis?",
    "Give the analysis of: {goal}",
    "Think through this description: {goal}",
    "Which body parts do what in: {goal}",
    "What does someone have to do here? {goal}",
)
"""The first one is the prompt that models are asked with; the others keep them from clinging to it."""


def examples(materials: Sequence[Material], seed: int) -> Iterator[Example]:
    for material in materials:
        if material.analysis is None:
            continue
        key = f"analyse|{material.caption.caption_id}"
        template = TEMPLATES[rng(seed, key).integers(len(TEMPLATES))]
        answer = [Segment(material.analysis.analysis, True)]
        prompt = template.format(goal=material.caption.text)
        yield Example(key, "analyse", material.split, prompt, answer, [material.caption.caption_id])
