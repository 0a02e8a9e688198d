"""`irg generate`: a motion for a sentence, by one of the models of this build."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows import asked
from flows.terminal import Json, console, print_json
from irg_core import dialogue
from irg_core.errors import ParamsError


def generate(
    text: Annotated[str, typer.Argument(help="what the motion shall show, in a sentence")],
    model: Annotated[str, typer.Option(help="a name in params.yaml, or a folder; the last of evaluate.models")] = "",
    mode: Annotated[str, typer.Option(help="enforced, free or direct; as the model is used to")] = "",
    seed: Annotated[int | None, typer.Option(help="another one draws another motion, if it is not too cold")] = None,
    temperature: Annotated[float | None, typer.Option(help="0: the likeliest; more is more varied")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for what is made; runs/generated/… if left out")] = None,
    as_json: Json = False,
) -> None:
    """Make a motion for a sentence: the model's words as they come, then a page that plays, BVH and npy."""
    goal, chosen = asked.goal(text), asked.model(model)
    way = mode or ("enforced" if chosen.answers == "trace" else "direct")
    if way not in asked.WAYS:
        raise ParamsError(f"--mode {mode}: it is one of {', '.join(asked.WAYS)}")
    how = asked.sampling(seed, temperature)

    from flows import written
    from irg_core.models.vqvae import MotionTokenizer
    from irg_core.tasks.generate import TEMPLATES

    tokenizer = MotionTokenizer.load(asked.TOKENIZER)
    language = asked.loaded(chosen)
    reader = None if as_json else asked.Reader(language.vocabulary)
    prompt = TEMPLATES[0].format(goal=goal) if way == "direct" else dialogue.prompt(goal)
    kind: Any = "motion" if way == "direct" else way
    answer = asked.answer(language, prompt, kind, how, reader=reader)
    if reader:
        reader.end()
    about = {"model": chosen.name, "mode": way, "seed": how.seed, "temperature": how.temperature}
    place = out or written.folder_for(goal, how.seed)
    made = written.write(said(goal, about, answer.text, answer.stop), tokenizer, place)
    show(made, about, as_json)


def said(goal: str, about: dict[str, Any], text: str, stop: str, given: Any = None) -> Any:
    """An answer cut into what is shown of it."""
    from flows.written import Said
    from irg_core.records.evaluation import Generation
    from irg_core.reports.readings import reading

    row = Generation("", "", "", "", False, goal, text, [], False, stop)
    told = reading(row)
    return Said(goal, about, text, stop, told.analysis, told.rounds, given)


def show(made: Any, about: dict[str, Any], as_json: bool) -> None:
    from flows import written

    if as_json:
        paths = {name: str(made.folder / name) for name in made.files}
        print_json({**about, "rounds": made.rounds, **written.as_values(made.held), "files": paths})
        return
    seconds = made.held.measured.seconds
    console().print(f"\n{made.rounds} motion{'s' if made.rounds > 1 else ''}, the last one {seconds:.1f} s long")
    written.tell(made.held)
    print(f"written to {made.folder}: {', '.join(made.files)}")
