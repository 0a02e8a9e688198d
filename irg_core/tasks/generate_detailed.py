"""generate_detailed: a detailed, analysis-style caption → the motion."""

from collections.abc import Iterator, Sequence

from irg_core.dialogue import motion
from irg_core.records.material import Material
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng

TEMPLATES = (
    "Generate a motion from these details: {goal}",
    "Follow this detailed description: {goal}",
    "In detail: {goal} Show the motion.",
    "Make exactly this motion: {goal}",
    "Here is what should happen, step by step: {goal}",
    "Carry out these steps as one motion: {goal}",
    "Detailed motion request: {goal}",
    "Generate precisely what is written: {goal}",
    "Turn this plan into motion: {goal}",
    "Let the body do the following in order: {goal}",
    "Mind every detail: {goal}",
    "{goal} Generate this, with every detail.",
    "Move as specified: {goal}",
    "From this specification, make the motion: {goal}",
    "Create a motion that keeps to each point: {goal}",
    "Instructions for the figure: {goal}",
    "Perform these actions in this order: {goal}",
    "Act out this exact script: {goal}",
    "Stick to the details and generate: {goal}",
    "The motion in detail is: {goal} Produce it.",
    "A careful description: {goal} Give me its motion.",
)
"""The first one is the prompt that models are asked with; the others keep them from clinging to it."""


def examples(materials: Sequence[Material], seed: int) -> Iterator[Example]:
    for material in materials:
        if material.analysis is None:
            continue
        key = f"generate_detailed|{material.caption.caption_id}"
        template = TEMPLATES[rng(seed, key).integers(len(TEMPLATES))]
        answer = [Segment(motion(material.tokens), True)]
        prompt = template.format(goal=material.analysis.detailed)
        yield Example(key, "generate_detailed", material.split, prompt, answer, [material.caption.caption_id])
