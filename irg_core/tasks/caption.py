"""caption: a motion → what happens in it, in one sentence."""

from collections.abc import Iterator, Sequence

from irg_core.dialogue import motion
from irg_core.records.material import Material
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng

TEMPLATES = (
    "Describe this motion: {motion}",
    "What is the person doing in {motion}?",
    "{motion} Put this motion into one sentence.",
    "Write a caption for the motion {motion}.",
    "What happens here? {motion}",
    "Here is a motion: {motion} Say in words what it shows.",
    "Give a short description of {motion}.",
    "Look at {motion} and tell me what the body does.",
    "Which action does {motion} show?",
    "Summarise the movement in {motion}.",
    "Caption this: {motion}",
    "In plain words, what is {motion}?",
    "Tell me what someone would see in {motion}.",
    "{motion} What did the person just do?",
    "Name the movement: {motion}",
    "How would you describe {motion} to someone who cannot see it?",
    "Please narrate the motion {motion}.",
    "Turn this motion into text: {motion}",
    "I recorded {motion}. What is happening?",
    "Read the motion {motion} and write down what it shows.",
    "Say what you see: {motion}",
    "One sentence for this motion, please: {motion}",
)
"""The first one is the prompt that models are asked with; the others keep them from clinging to it."""


def examples(materials: Sequence[Material], seed: int) -> Iterator[Example]:
    for material in materials:
        key = f"caption|{material.caption.caption_id}"
        template = TEMPLATES[rng(seed, key).integers(len(TEMPLATES))]
        answer = [Segment(material.caption.text, True)]
        prompt = template.format(motion=motion(material.tokens))
        yield Example(key, "caption", material.split, prompt, answer, [material.caption.caption_id])
