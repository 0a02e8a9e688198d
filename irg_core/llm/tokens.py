"""How many tokens a text has, as a rule of thumb: no endpoint lends its tokenizer, and replies say the true number."""

import json
import math
import re

from irg_core.llm.chat import ChatRequest

PIECES = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_|\n+")
"""What byte-pair vocabularies never join: words, digits, signs and line ends; a blank belongs to the word behind it."""
LETTERS = 9
"""Of a word, in one token, as a rule: English words that annotations use are mostly in a vocabulary as they are."""
BEYOND_ASCII = 2.0
"""Tokens for a sign beyond ASCII, as a rule: byte-pair vocabularies spell most of them byte by byte."""
A_MESSAGE = 4
"""Tokens around the text of each message: its role, and where it begins and ends."""


def count(text: str) -> int:
    """About as many tokens as a byte-pair vocabulary of 50,000 or more makes of an English text."""
    pieces = PIECES.findall(text)
    beyond = sum(1 for sign in text if sign > "\x7f")
    return sum(math.ceil(len(piece) / LETTERS) for piece in pieces) + round((BEYOND_ASCII - 1) * beyond)


def of_request(request: ChatRequest) -> int:
    """About as many tokens as an endpoint reads: the messages, and the schema that the reply is held to."""
    said = sum(A_MESSAGE + count(message["content"]) for message in request.messages)
    return said + count(json.dumps(request.schema))
