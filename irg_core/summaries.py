"""What a stage says when it is done: one line for a person, one JSON file under runs/ for whoever watches."""

from pathlib import Path

from irg_core.files import write_json

FOLDER = Path("runs/summaries")


def summarise(stage: str, item: str = "", **facts: object) -> None:
    """Print and keep the counts of one stage run; mappings (rejections by reason) stay mappings in the file."""
    name = f"{stage}@{item}" if item else stage
    print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in facts.items()), flush=True)
    write_json(FOLDER / f"{name}.json", {"stage": stage, "item": item, **facts})
