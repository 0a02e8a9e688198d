"""`irg refine`: a motion that misses its sentence, made better by a model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows import asked
from flows.commands.generate import said, show
from flows.terminal import Json, console
from irg_core import dialogue
from irg_core.errors import FactoryError, ModelError


def refine(
    motion: Annotated[str, typer.Argument(help="npy of features or joints, npz, bvh, amc, or a clip_id")],
    text: Annotated[str, typer.Argument(help="what the motion should show, in a sentence")],
    instruction: Annotated[str, typer.Option(help="what to change; the model's own judgement if left out")] = "",
    model: Annotated[str, typer.Option(help="a name in params.yaml, or a folder; the last of evaluate.models")] = "",
    answers: Annotated[str, typer.Option(help="trace or composed, for folders not in params.yaml")] = "",
    fps: Annotated[float | None, typer.Option(help="frames a second, where the file says none or lies")] = None,
    piece: Annotated[int | None, typer.Option(help="of a long motion, which piece, from 1")] = None,
    seed: Annotated[int | None, typer.Option(help="another one draws another motion, if it is not too cold")] = None,
    temperature: Annotated[float | None, typer.Option(help="0: the likeliest; more is more varied")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for what is made; runs/generated/… if left out")] = None,
    as_json: Json = False,
) -> None:
    """Refine a motion towards a sentence, as the model or an instruction says: page, BVH and npy of the result."""
    goal, chosen = asked.goal(text), asked.model(model, answers)
    way = asked.judging(chosen)
    order = asked.goal(instruction) if instruction.strip() else ""
    if order == dialogue.SENTINEL:
        raise FactoryError(f"the instruction '{order}' is what models say when nothing is left to do")
    how = asked.sampling(seed, temperature)

    from flows import written
    from flows.given import given

    shown = given(motion, fps, piece)
    tokenizer, codes = asked.encoded(shown.features, how, motion)
    language = asked.loaded(chosen)
    reader = None if as_json else asked.Reader(language.vocabulary)
    if reader:
        for note in shown.notes:
            console().print(f"note: {note}", markup=False)
    answer = TRACED[way](language, chosen, goal, codes, order, how, reader)
    about = {
        "model": chosen.name, "motion": motion, "instruction": order, "seed": how.seed, "temperature": how.temperature,
    }  # fmt: skip
    told = said(goal, about, *answer, given=shown.features)
    if len([one for one in told.rounds if one.codes]) < 2:
        raise ModelError(
            f"{chosen.name} finds nothing to refine in '{motion}'; tell it what to change with --instruction"
        )
    show(written.write(told, tokenizer, out or written.folder_for(f"refined {goal}", how.seed)), about, as_json)


def by_trace(
    language: Any, chosen: Any, goal: str, codes: list[int], order: str, how: Any, reader: Any
) -> tuple[str, str]:
    """The trace that goes on after the motion as if that were the model's own first try, and why it ended."""
    before, judgement = asked.judged(language, chosen, goal, codes, how)
    begun = f"{before}[generate]{dialogue.motion(codes)}[/generate]"
    if order:
        if len(language.vocabulary.encode(f" {order}")) >= how.max_text:
            raise FactoryError(f"the instruction is longer than evaluate.sampling.max_text {how.max_text} tokens")
        assessment = judgement.assessment or "The motion is not what was asked for."
        begun += f"[plan]{dialogue.PLANS['assess']}[/plan]"
        begun += f"[assess]{dialogue.ASSESSMENT}{assessment}{dialogue.REFINEMENT}{order}[/assess]"
    answer = asked.answer(language, dialogue.prompt(goal), "enforced", how, begun, reader)
    if reader:
        reader.end()
    return answer.text, answer.stop


def by_turn(
    language: Any, chosen: Any, goal: str, codes: list[int], order: str, how: Any, reader: Any
) -> tuple[str, str]:
    """One turn of the loop around a Stage-1 model, as a trace tells it."""
    from irg_core.tasks.refine_instructed import TEMPLATES

    _, judgement = asked.judged(language, chosen, goal, codes, how)
    told, motions = judgement.refinement, judgement.motions
    if order:
        prompt = TEMPLATES[0].format(goal=goal, motion=dialogue.motion(codes), instruction=order)
        motions = asked.answer(language, prompt, "motion", how).motions(language.vocabulary)
        told = order
    text = f"[generate]{dialogue.motion(codes)}[/generate]"
    text += f"[assess]{dialogue.ASSESSMENT}{judgement.assessment}{dialogue.REFINEMENT}{told}[/assess]"
    text += "".join(f"[generate]{dialogue.motion(made)}[/generate]" for made in motions)
    if reader:
        for token in language.vocabulary.encode(text):
            reader.heard("", token)
        reader.end()
    return text, "single"


TRACED = {"trace": by_trace, "composed": by_turn}
