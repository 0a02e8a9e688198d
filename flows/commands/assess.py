"""`irg assess`: what a model and what measured facts say of a motion and a sentence."""

import math
from typing import Annotated, Any

import typer

from flows import asked
from flows.terminal import Json, console, print_json


def assess(
    motion: Annotated[str, typer.Argument(help="npy of features or joints, npz, bvh, amc, or a clip_id")],
    text: Annotated[str, typer.Argument(help="what the motion should show, in a sentence")],
    model: Annotated[str, typer.Option(help="a name in params.yaml, or a folder; the last of evaluate.models")] = "",
    answers: Annotated[str, typer.Option(help="trace or composed, for folders not in params.yaml")] = "",
    fps: Annotated[float | None, typer.Option(help="frames a second, where the file says none or lies")] = None,
    piece: Annotated[int | None, typer.Option(help="of a long motion, which piece, from 1")] = None,
    seed: Annotated[int | None, typer.Option(help="of the model's words, if it is not too cold")] = None,
    temperature: Annotated[float | None, typer.Option(help="0: the likeliest words")] = None,
    as_json: Json = False,
) -> None:
    """Judge a motion by a sentence: alignment score, the model's assessment, and the facts for and against it."""
    goal, chosen = asked.goal(text), asked.model(model, answers)
    asked.judging(chosen)
    how = asked.sampling(seed, temperature)

    from flows import written
    from flows.given import given

    shown = given(motion, fps, piece)
    _, codes = asked.encoded(shown.features, how, motion)
    language = asked.loaded(chosen)
    _, said = asked.judged(language, chosen, goal, codes, how)
    found = written.held(goal, shown.features)
    checked = written.checked(said.assessment, said.refinement, found)
    values = {
        "goal": goal, "motion": motion, "model": chosen.name, "alignment_score": round(said.sentinel, 4),
        "assessment": said.assessment, "refinement": said.refinement, "statements": checked,
        **written.as_values(found), "notes": shown.notes,
    }  # fmt: skip
    if as_json:
        print_json(values)
    else:
        _show(values, found)


def _show(values: dict[str, Any], found: Any) -> None:
    from flows import written

    out = console()
    for note in values["notes"]:
        out.print(f"note: {note}", markup=False)
    likely = math.exp(values["alignment_score"])
    score = f"{values['alignment_score']:.2f} (nothing to refine: {likely:.1%})"
    out.print(f"alignment score, {values['model']}: [bold]{score}[/]")
    out.print(f"Assessment: {values['assessment'] or '(none)'}", markup=False)
    out.print(f"Refinement: {values['refinement'] or '(none)'}", markup=False)
    for one in values["statements"]:
        if one["verdict"] == "contradicted":
            out.print(f"  the model says: {one['words']}; measured: {one['known']}", markup=False)
    written.tell(found)
