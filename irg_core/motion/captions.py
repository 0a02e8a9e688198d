"""What can be wrong with the sentences that came with a motion. They end up in prompts, so they are read with care."""

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Measure = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """How one kind of fault of a sentence is measured, in what unit, and how it is mended, if at all."""

    unit: str
    measure: Callable[[str, Sequence[str]], Measure]  # of a sentence, given the alphabets that are declared
    repair: Callable[[str], str] | None = None


_TAG = re.compile(r"<[/!?]?[a-zA-Z|][^<>]{0,200}>")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_FENCE = re.compile(r"[`*_#~]{2,}|`")
# Orders to whoever reads, and the signs by which models, ours included, tell who speaks.
_ORDERS = re.compile(
    r"\b(ignore|disregard|forget|override|bypass)\b[^.]{0,40}\b(instruction|prompt|rule|above|previous|prior|system)"
    r"|\b(system|developer)\s*(prompt|message|instruction)"
    r"|\byou\s+are\s+(now|no\s+longer)\b|\byou\s+are\s+an?\s+(ai|assistant|language\s+model|chatbot)"
    r"|\bas\s+an?\s+(ai|assistant|language\s+model)\b|\b(jailbreak|do\s+anything\s+now)\b"
    r"|\b(reply|respond|answer|output)\s+(only|with|exactly)\b|\b(print|write|repeat|say)\s+(exactly|the\s+following)\b"
    r"|\b(reveal|print|send|leak)\b[^.]{0,30}\b(key|password|secret|token|prompt)\b"
    r"|<\|[^|<>]*\|>|\[/?(inst|plan|analyze|generate|assess)\]|<<sys>>|</?think>|</?motion(_\d+)?>"
    r"|^\s*(system|assistant|user|human)\s*:|\brefinement\s*:|\bassessment\s*:|\bno refinements? needed\b"
    r"|https?://|\beval\(|\bimport os\b|\bdrop table\b",
    re.IGNORECASE | re.MULTILINE,
)


def emptiness(text: str, alphabets: Sequence[str]) -> Measure:
    """1 where a sentence has no letter."""
    return float(not any(character.isalpha() for character in text)), f"{text[:40]!r}"


def controls(text: str, alphabets: Sequence[str]) -> Measure:
    """How many characters steer rather than say: control, format (bidirectional, zero-width), private, unassigned."""
    found = [character for character in text if _steers(character)]
    return float(len(found)), " ".join(f"U+{ord(character):04X}" for character in found[:8])


def without_controls(text: str) -> str:
    kept = "".join(" " if character in "\t\r\n\v\f" else character for character in text)
    return " ".join("".join(character for character in kept if not _steers(character)).split())


def markup(text: str, alphabets: Sequence[str]) -> Measure:
    """How many pieces of HTML or Markdown."""
    found = [*_TAG.findall(text), *_LINK.findall(text), *_FENCE.findall(text), *re.findall(r"&(?:#\d+|\w+);", text)]
    return float(len(found)), " ".join(map(str, found[:4]))


def without_markup(text: str) -> str:
    return " ".join(_FENCE.sub("", _LINK.sub(r"\1", _TAG.sub(" ", html.unescape(text)))).split())


def foreign_letters(text: str, alphabets: Sequence[str]) -> Measure:
    """Share of the letters that belong to none of the alphabets."""
    letters = [character for character in text if character.isalpha()]
    foreign = [letter for letter in letters if unicodedata.name(letter, "?").split()[0] not in alphabets]
    return len(foreign) / max(len(letters), 1), "".join(foreign[:20])


def orders(text: str, alphabets: Sequence[str]) -> Measure:
    """How many phrases speak to a language model and not of a motion, also where other signs are strewn in."""
    bare = _TAG.sub("", html.unescape("".join(character for character in text if not _steers(character))))
    found = [match.group(0) for reading in (text, bare) for match in _ORDERS.finditer(reading)]
    return float(len(set(found))), "; ".join(dict.fromkeys(found[:3]))


def length(text: str, alphabets: Sequence[str]) -> Measure:
    """Words."""
    return float(len(text.split())), text[:40]


def _steers(character: str) -> bool:
    return unicodedata.category(character)[0] == "C" and character != " "


FAULTS = {
    # Orders first, on the sentence as it came: taking markup away must not hide one.
    "orders to a model": Fault("phrases", orders),
    "control characters": Fault("characters", controls, without_controls),
    "markup": Fault("pieces", markup, without_markup),
    "empty text": Fault("empty", emptiness),
    "foreign letters": Fault("share of the letters", foreign_letters),
    "long text": Fault("words", length),
}
"""In the order in which they are looked for; a repaired sentence goes on to the next."""
