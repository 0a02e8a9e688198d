"""refine: a flawed motion and its goal → the motion that was wanted."""

from collections.abc import Iterator, Sequence

from irg_core.dialogue import motion
from irg_core.records.material import Material
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng

TEMPLATES = (
    "Refine {motion} so that it shows: {goal}",
    "Goal: {goal} Attempt: {motion} Give a better motion.",
    "Improve the motion {motion} for: {goal}",
    "{motion} misses the goal. Make it right: {goal}",
    "Correct {motion} to match: {goal}",
    "Redo {motion} so that it fits the text: {goal}",
    "Mend this motion: {motion} It should be: {goal}",
    "Not quite. Motion {motion} goal: {goal} Try again.",
    "Turn {motion} into what was asked: {goal}",
    "The goal was: {goal} Fix {motion} accordingly.",
    "Give a better version of {motion} for: {goal}",
    "Make {motion} do what the text says: {goal}",
    "Change {motion} until it shows: {goal}",
    "I asked for: {goal} This is wrong: {motion} What is right?",
    "Start from {motion} and reach: {goal}",
    "Repair {motion} given the goal: {goal}",
    "A flawed try: {motion} Better, for the goal: {goal}",
    "{goal} The first try was {motion} Show the next one.",
    "Adjust {motion} so that the goal is met: {goal}",
    "Replace {motion} by a motion that fulfils: {goal}",
    "Second attempt after {motion} at: {goal}",
)
"""The first one is the prompt that models are asked with; the others keep them from clinging to it."""


def examples(materials: Sequence[Material], seed: int) -> Iterator[Example]:
    for material in materials:
        for shown in material.shown:
            if not shown.is_flawed:
                continue
            key = f"refine|{shown.pair_id}"
            template = TEMPLATES[rng(seed, key).integers(len(TEMPLATES))]
            prompt = template.format(goal=material.caption.text, motion=motion(shown.tokens))
            answer = [Segment(motion(material.tokens), True)]
            yield Example(key, "refine", material.split, prompt, answer, [shown.pair_id])
