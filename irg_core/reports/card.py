"""The dataset's card: what a stranger must know before training on it, in Markdown."""

from collections.abc import Mapping
from typing import Any

from irg_core.reports.overview import SPLITS, Overview

LIMITS = (
    "Every body is retargeted to one skeleton; fingers, faces and the proportions of the performers are gone.",
    "Captions that were written from measured facts say what was measured and no more; emotion and style are not.",
    "A judgement is kept where no statement in it contradicts goal, facts or known flaw; what could not be checked "
    "is kept too, and counted above as not checkable.",
    "The flaw of a retrieved or generated motion is known only as far as it is measured; that of an edit exactly.",
    "Motions that a program made (`synthetic`) say nothing about people.",
    "No clip of another split, no mirror image and no near-duplicate of one is in any example, in any role.",
)


def render(found: Overview, entries: Mapping[str, Mapping[str, Any]], grounding: Mapping[str, Any]) -> str:
    """`entries` are those of `corpora` in params.yaml, `grounding` the rates of `verify` by corpus."""
    parts = [
        "# The dataset",
        "Motions with captions, analyses of what the captions ask for, motions that miss them in known ways, and "
        "verified judgements of these; and what is trained on, composed from them. This card is made with the data.",
        "## Sources",
        *_table(
            ["corpus", "format", "licence", *SPLITS, "minutes", "captions", "analyses", "pairs", "verified"],
            [
                [
                    name, entries[name].get("format", "?"), entries[name].get("licence", "not stated"),
                    *(f"{one.splits[split]:,}" for split in SPLITS), f"{one.minutes:.1f}", f"{one.captions:,}",
                    f"{one.analyses:,}", f"{one.pairs:,}", f"{one.verified:,}",
                ]
                for name, one in found.corpora.items()
            ],
        ),
        "Splits count clips. The licence of a corpus is what its entry in `params.yaml` states; texts are MIT.",
        "## Who wrote the texts",
        *_table(
            ["texts", "provider, model, prompt", "rows"],
            [
                [kind, name, f"{rows:,}"]
                for kind, writers in found.writers.items()
                for name, rows in sorted(writers.items(), key=lambda item: (-item[1], item[0]))
            ],
        ),
        "## How far the judgements are grounded",
        *_table(
            ["corpus", "judge", "judgements", "kept", "of checkable statements true", "checkable"],
            [
                [corpus, judge, f"{row['judgements']:,}", f"{row['kept_share']:.1%}", f"{row['grounded_share']:.1%}",
                 f"{row['checkable_share']:.1%}"]
                for corpus, rates in grounding.items()
                for judge, row in rates["judges"].items()
            ],
        ),
        "## What it consists of",
    ]  # fmt: skip
    for title, values in found.distributions.items():
        parts += [f"**{title}**: " + (", ".join(f"{value}: {count:,}" for value, count in values) or "none")]
    rejected = [[row.stage, row.reason, f"{row.rows:,}"] for row in found.refused]
    parts += ["## What was refused", *(_table(["stage", "reason", "rows"], rejected) if rejected else ["Nothing."])]
    parts += ["## Known limits", "\n".join(f"- {limit}" for limit in LIMITS)]
    return "\n\n".join(parts) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table; a bar in a cell would end it."""
    lines = [head, ["---"] * len(head), *rows]
    return ["\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)]
