"""File names, which a stranger chose, as names that are safe in ids, tables, pages and on a terminal."""

import re
import unicodedata

_UNSAFE = re.compile(r"[^\w.+-]+")


def safe_name(relative: str) -> str:
    """What the take of a file is called: its path without the suffix, folders marked off by two underscores.

    What is left are letters, digits and `_ . + -`: the separators of our ids (`/ # | ~`) are not among them.
    """
    folders, _, file = relative.rpartition("/")
    stem = file.rpartition(".")[0] or file
    name = f"{folders}/{stem}" if folders else stem
    return _UNSAFE.sub("_", unicodedata.normalize("NFC", name).replace("/", "__")).lstrip(".") or "_"


def shown(text: object, width: int = 200) -> str:
    """A text for a message: on one line, without control characters or halves of characters, and not endless."""
    line = "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in str(text)[: 2 * width])
    return line if len(line) <= width else line[: width - 1] + "…"
