"""`irg explain`: the chain from a training example back to the file that its motion was read from.

Every link is one row that is looked up by its key: no table is read through.
"""

import difflib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from irg_core.errors import TableError
from irg_core.params import mapping
from irg_core.tables import find_rows, keys_near

DATA = Path("data")
STAGES = {"Stage 1": "examples/stage1.parquet", "Stage 2": "examples/stage2.parquet"}
GOALS = "examples/stage3.parquet"
ASKED = {"captions": "describe", "analyses": "analyse", "assessments": "assess"}
"""Tables of texts, and the stage that asked for them."""
HEAVY = frozenset({"features", "captions", "phases", "measures", "asked", "tokens", "question"})
"""Columns that a reader of the chain does not want, and that are large."""
EXCERPT = 300
"""Letters of a long text that are shown."""
NEAR = 3
"""Keys that an unknown one is likened to."""

Row = dict[str, Any]


def explain(
    key: Annotated[str, typer.Argument(help="example_id, goal_id, pair_id, caption_id, motion_id or clip_id")],
    as_json: Annotated[bool, typer.Option("--json", help="the whole chain as JSON, for programs")] = False,
) -> None:
    """Say where a training example comes from: goal, texts with model and prompt, flaw, verdict, clip, source file."""
    found = chain(key, mapping("corpora"))
    if as_json:
        json.dump(found, sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        print("\n".join(lines(found)))


def chain(key: str, corpora: Row) -> Row:
    """Everything that led to a row, link by link. Raises `TableError` for a key that no table has."""
    example = _example(key)
    lineage = example["lineage"] if example else [key]
    corpus = _corpus(lineage[0], corpora)
    if not corpus:
        raise TableError(_unknown(key, corpora))
    captions = list(dict.fromkeys(one.partition("|")[0] for one in lineage))
    pairs = _rows("pairs", corpus, (one for one in lineage if "|" in one))
    goals = _rows("captions", corpus, captions)
    made = _rows("flawed", corpus, [key, *(pair["motion_id"] for pair in pairs.values())])
    clips = _clips(corpus, [key.partition("~")[0], *(row["clip_id"] for row in goals.values())], corpora)
    if not (example or pairs or goals or made or clips):
        raise TableError(_unknown(key, corpora))
    found: Row = {"key": key, "is": _kind(example, pairs, goals, made)}
    if example:
        found["example"] = example
    if goals:
        found["goal"] = _told("captions", corpus, goals)
        found["analysis"] = _told("analyses", corpus, _rows("analyses", corpus, captions))
    elif made:
        found["made"] = list(made.values())
    if pairs:
        found["motions"] = _motions(corpus, [pairs[one] for one in lineage if one in pairs], made, corpora)
    return found | {"clip": list(clips.values())}


def _kind(example: Row | None, pairs: Row, goals: Row, made: Row) -> str:
    if example:
        return str(example["stage"])
    return "pair" if pairs else "caption" if goals else "made motion" if made else "clip"


def _example(key: str) -> Row | None:
    """The example of Stage 1 or 2, or the goal of Stage 3."""
    for stage, file in STAGES.items():
        if (DATA / file).exists() and (row := find_rows(DATA / file, [key]).get(key)):
            answer = "".join(part["text"] for part in row.pop("answer"))
            return {"stage": f"example of {stage}", **row, "answer": answer}
    if (DATA / GOALS).exists() and (row := find_rows(DATA / GOALS, [key], HEAVY).get(key)):
        return {"stage": "goal of Stage 3", **row, "lineage": [key]}
    return None


def _corpus(key: str, corpora: Row) -> str:
    """The corpus of a row, by its key; a name may itself hold slashes."""
    return next((name for name in sorted(corpora, key=len, reverse=True) if key.startswith(f"{name}/")), "")


def _rows(table: str, corpus: str, keys: Iterable[str]) -> Row:
    """Rows of one of a corpus's tables by their keys; none where the table was not made."""
    path = DATA / table / f"{corpus}.parquet"
    wanted = list(keys)
    return find_rows(path, wanted, HEAVY) if wanted and path.exists() else {}


def _told(table: str, corpus: str, rows: Row) -> list[Row]:
    """Texts with the replies that they were read from."""
    requests = {row["origin"]["request"] for row in rows.values() if "origin" in row} - {""}
    replies = _rows(f"transcripts/{ASKED[table]}", corpus, requests)
    return [_with_reply(row, replies) for row in rows.values()]


def _with_reply(row: Row, replies: Row) -> Row:
    origin = row.get("origin", {})
    if not origin.get("request"):
        return {name: value for name, value in row.items() if name != "origin"}
    reply = replies.get(origin["request"])
    return row | {"reply": reply["reply"] if reply else "not in data/transcripts"}


def _motions(corpus: str, pairs: list[Row], made: Row, corpora: Row) -> list[Row]:
    """Each pair with what was shown, what was said of it, and what became of that."""
    keys = [pair["pair_id"] for pair in pairs]
    judged = {row["pair_id"]: row for row in _told("assessments", corpus, _rows("assessments", corpus, keys))}
    verified, refused = _rows("verified", corpus, keys), _rows("rejections/verify", corpus, keys)
    other = _clips(corpus, (pair["motion_id"] for pair in pairs if pair["source"] == "retrieval"), corpora)
    found = []
    for pair in pairs:
        key, motion = pair["pair_id"], pair["motion_id"]
        shown = made.get(motion) or other.get(motion)
        said = {name: value for name, value in judged.get(key, {}).items() if name != "outcome"}
        row = pair | {"shown": shown, "assessment": said, "verification": _verdict(verified.get(key), refused.get(key))}
        found.append({name: value for name, value in row.items() if value})
    return found


def _verdict(verified: Row | None, refused: Row | None) -> Row:
    """What became of a judgement, and of the statements in it."""
    if verified:
        return {"outcome": "accepted", "statements": verified["outcome"]}
    return {"outcome": "rejected", **refused} if refused else {"outcome": "not judged"}


def _clips(corpus: str, keys: Iterable[str], corpora: Row) -> Row:
    """Clips with their split, and where they come from."""
    clips = _rows("clips", corpus, keys)
    splits = find_rows(DATA / "splits.parquet", clips, HEAVY) if clips and (DATA / "splits.parquet").exists() else {}
    entry = {name: corpora[corpus].get(name, "not stated") for name in ("format", "root", "licence")}
    return {
        key: row
        | {name: value for name, value in splits.get(key, {}).items() if name in ("split", "unseen")}
        | {"source": row.get("source") or "made by a program", **entry}
        for key, row in clips.items()
    }


def _unknown(key: str, corpora: Row) -> str:
    """One sentence, with the keys that this one may have been meant for."""
    files = [*STAGES.values(), GOALS]
    for corpus in corpora:
        files += [f"{table}/{corpus}.parquet" for table in ("pairs", "captions", "clips")]
    near = [one for file in files if (DATA / file).exists() for one in keys_near(DATA / file, key, NEAR)]
    alike = difflib.get_close_matches(key, dict.fromkeys(near), n=NEAR, cutoff=0.0)
    return f"no row of data/ has the key '{key}'" + (f"; near it are: {', '.join(alike)}" if alike else "")


def lines(value: Any, indent: int = 0) -> Iterator[str]:
    """The chain as an outline."""
    for name, inner in value.items():
        for number, one in enumerate(inner if _is_rows(inner) else [inner], start=1):
            title = f"{' ' * indent}{name}{f' {number}' if _is_rows(inner) and len(inner) > 1 else ''}"
            if isinstance(one, dict):
                yield title
                yield from lines(one, indent + 2)
            elif one not in ("", [], None):
                yield f"{title}: {_short(one)}"


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _short(value: Any) -> str:
    text = " ".join((", ".join(map(str, value)) if isinstance(value, list) else str(value)).split())
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT].rstrip()} … ({len(text):,} letters)"
