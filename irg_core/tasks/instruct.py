"""instruct: a motion and its goal → what would mend the motion, or the sentinel if nothing is left to refine."""

from collections.abc import Iterator, Sequence

from irg_core.dialogue import motion
from irg_core.records.material import Material
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng

TEMPLATES = (
    "How should {motion} change to show: {goal}",
    "Goal: {goal} Motion: {motion} Write a refinement instruction.",
    "What would make {motion} fit this better? {goal}",
    "Give an instruction that mends {motion} for: {goal}",
    "Tell the performer of {motion} what to change for: {goal}",
    "What must be refined in {motion} given: {goal}",
    "{goal} How do I correct {motion} to get there?",
    "Improve on {motion} with one instruction. The goal: {goal}",
    "Which correction does {motion} need for: {goal}",
    "I wanted: {goal} I got {motion} What should be done differently?",
    "Instruct a correction of {motion} towards: {goal}",
    "Say what to fix in {motion} so that it shows: {goal}",
    "The motion {motion} should be: {goal} What is to be changed?",
    "Coach the figure: it did {motion} and the goal is: {goal}",
    "Refinement needed? Motion {motion} goal: {goal}",
    "Name the change that turns {motion} into: {goal}",
    "What is left to refine in {motion} for: {goal}",
    "From {motion} to the goal: what to alter? {goal}",
    "Write down how to refine {motion} for: {goal}",
    "Advise on {motion} so that it fulfils: {goal}",
    "If anything is wrong in {motion} for this goal, say how to mend it: {goal}",
)
"""The first one is the prompt that models are asked with; the others keep them from clinging to it."""


def examples(materials: Sequence[Material], seed: int) -> Iterator[Example]:
    for material in materials:
        for shown in material.shown:
            key = f"instruct|{shown.pair_id}"
            template = TEMPLATES[rng(seed, key).integers(len(TEMPLATES))]
            prompt = template.format(goal=material.caption.text, motion=motion(shown.tokens))
            yield Example(key, "instruct", material.split, prompt, [Segment(shown.refinement, True)], [shown.pair_id])
