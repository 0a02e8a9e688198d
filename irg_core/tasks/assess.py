"""assess: a motion and its goal → what fits and what does not. Motions that fulfil their goal are shown too."""

from collections.abc import Iterator, Sequence

from irg_core.dialogue import motion
from irg_core.records.material import Material
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng

TEMPLATES = (
    "Does {motion} fulfil the goal? {goal}",
    "Goal: {goal} Motion: {motion} Assess it.",
    "Assess how well {motion} matches: {goal}",
    "Compare the motion {motion} with the text: {goal}",
    "What fits and what does not? Motion {motion} for: {goal}",
    "Judge this motion: {motion} It should show: {goal}",
    "Check {motion} against the goal: {goal}",
    "Is {motion} right for this? {goal}",
    "The text says: {goal} The motion is {motion} Where do they differ?",
    "Review the attempt {motion} at: {goal}",
    "How close is {motion} to: {goal}",
    "Someone asked: {goal} They got {motion} What do you think of it?",
    "Give an assessment of {motion} given the goal: {goal}",
    "Look at {motion} and compare it with what was asked: {goal}",
    "Rate in words the motion {motion} for: {goal}",
    "{goal} Is this what {motion} shows?",
    "Find the mistakes, if any, in {motion} for the goal: {goal}",
    "Evaluate: goal {goal} motion {motion}",
    "Tell me whether {motion} does what is asked: {goal}",
    "What does {motion} get right or wrong about: {goal}",
    "Inspect the motion {motion} with this goal in mind: {goal}",
)
"""The first one is the prompt that models are asked with; the others keep them from clinging to it."""


def examples(materials: Sequence[Material], seed: int) -> Iterator[Example]:
    for material in materials:
        for shown in material.shown:
            key = f"assess|{shown.pair_id}"
            template = TEMPLATES[rng(seed, key).integers(len(TEMPLATES))]
            prompt = template.format(goal=material.caption.text, motion=motion(shown.tokens))
            yield Example(key, "assess", material.split, prompt, [Segment(shown.assessment, True)], [shown.pair_id])
