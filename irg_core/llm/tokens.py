"""How many tokens a text has, as a rule of thumb: no endpoint lends its tokenizer, and replies say the true number."""

import json
import re
from functools import lru_cache

from irg_core.llm.chat import ChatRequest

PIECES = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_|\n+")
"""What byte-pair vocabularies never join: words, digits, signs and line ends; a blank belongs to the word behind it."""
LETTERS = 9
"""Of a word, in one token, as a rule: English words that annotations use are mostly in a vocabulary as they are."""
BEYOND_ASCII = 2.0
"""Tokens for a sign beyond ASCII, as a rule: byte-pair vocabularies spell most of them byte by byte."""
REMEMBERED = 1024
"""Texts whose count is kept: of one question it is wanted by the budget, by the limits and by the timeout."""
A_MESSAGE = 4
"""Tokens around the text of each message: its role, and where it begins and ends."""


@lru_cache(REMEMBERED)
def count(text: str) -> int:
    """About as many tokens as a byte-pair vocabulary of 50,000 or more makes of an English text."""
    pieces = PIECES.findall(text)
    further = sum((len(piece) - 1) // LETTERS for piece in pieces if len(piece) > LETTERS)
    beyond = 0 if text.isascii() else sum(1 for sign in text if sign > "\x7f")
    return len(pieces) + further + round((BEYOND_ASCII - 1) * beyond)


def of_request(request: ChatRequest) -> int:
    """About as many tokens as an endpoint reads: the messages, and the schema that the reply is held to."""
    said = sum(A_MESSAGE + count(message["content"]) for message in request.messages)
    return said + count(json.dumps(request.schema))
