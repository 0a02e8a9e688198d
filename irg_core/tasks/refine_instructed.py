"""refine_instructed: a flawed motion, its goal and an instruction → the motion that was wanted."""

from collections.abc import Iterator, Sequence

from irg_core.dialogue import motion
from irg_core.records.material import Material
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng

TEMPLATES = (
    "Refine {motion} as instructed. Goal: {goal} Instruction: {instruction}",
    "Goal: {goal} Attempt: {motion} Instruction: {instruction} Give the better motion.",
    "{instruction} Apply this to {motion} for the goal: {goal}",
    "Follow the instruction and redo {motion} Goal: {goal} Instruction: {instruction}",
    "Change {motion} like this: {instruction} The goal is: {goal}",
    "For the goal {goal} the motion {motion} needs this: {instruction} Do it.",
    "Correct {motion} by this note: {instruction} It should show: {goal}",
    "A coach says: {instruction} Improve {motion} towards: {goal}",
    "{goal} The try {motion} got this feedback: {instruction} Try again.",
    "Take {motion} and do as told: {instruction} Wanted: {goal}",
    "Mend {motion} with the hint: {instruction} Goal: {goal}",
    "Wanted: {goal} Shown: {motion} To change: {instruction} Show the result.",
    "Use this instruction: {instruction} on {motion} to reach: {goal}",
    "Improve {motion} step by step: {instruction} Target: {goal}",
    "Given the goal {goal} and the advice {instruction} refine {motion}",
    "Apply the refinement: {instruction} Motion: {motion} Goal: {goal}",
    "This motion {motion} should be: {goal} So: {instruction}",
    "The next version of {motion} must follow: {instruction} and show: {goal}",
    "Heed this: {instruction} Then redo {motion} for: {goal}",
    "Revise {motion} accordingly: {instruction} The text was: {goal}",
    "What does {motion} become after: {instruction} Goal: {goal}",
)
"""The first one is the prompt that models are asked with; the others keep them from clinging to it."""


def examples(materials: Sequence[Material], seed: int) -> Iterator[Example]:
    for material in materials:
        for shown in material.shown:
            if not shown.is_flawed:
                continue
            key = f"refine_instructed|{shown.pair_id}"
            template = TEMPLATES[rng(seed, key).integers(len(TEMPLATES))]
            words = {"goal": material.caption.text, "instruction": shown.refinement}
            prompt = template.format(motion=motion(shown.tokens), **words)
            answer = [Segment(motion(material.tokens), True)]
            yield Example(key, "refine_instructed", material.split, prompt, answer, [shown.pair_id])
