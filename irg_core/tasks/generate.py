"""generate: a caption → the motion. The paraphrases of a caption stand in for it too: same motion, other words."""

from collections.abc import Iterator, Sequence

from irg_core.dialogue import motion
from irg_core.records.material import Material
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng

TEMPLATES = (
    "Generate a motion: {goal}",
    "Show me this motion: {goal}",
    "Make a motion for: {goal}",
    "Create the movement described here: {goal}",
    "Act this out: {goal}",
    "{goal} Generate the motion.",
    "Produce a motion that matches the text: {goal}",
    "Turn this sentence into motion: {goal}",
    "I need a motion of the following: {goal}",
    "What would this look like? {goal}",
    "Animate this: {goal}",
    "Please move like this: {goal}",
    'Give me the motion for "{goal}"',
    "Write the motion tokens for: {goal}",
    "From text to motion: {goal}",
    "Perform: {goal}",
    "Let the figure do this: {goal}",
    "Here is a description: {goal} Generate what it describes.",
    "Can you generate a motion where the following happens? {goal}",
    "Synthesise a human motion for: {goal}",
    "Motion wanted: {goal}",
    "Translate into movement: {goal}",
)
"""The first one is the prompt that models are asked with; the others keep them from clinging to it."""


def examples(materials: Sequence[Material], seed: int) -> Iterator[Example]:
    for material in materials:
        paraphrases = material.analysis.paraphrases if material.analysis else []
        for index, goal in enumerate([material.caption.text, *paraphrases]):
            key = f"generate|{material.caption.caption_id}|{index}"
            template = TEMPLATES[rng(seed, key).integers(len(TEMPLATES))]
            answer = [Segment(motion(material.tokens), True)]
            lineage = [material.caption.caption_id]
            yield Example(key, "generate", material.split, template.format(goal=goal), answer, lineage)
