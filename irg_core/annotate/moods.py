"""Words that tell what a piece of text speaks of: what is, what should be, what should not, and what is not."""

import re

from irg_core.annotate.lexicon import any_of

ASKS = any_of(
    r"should", r"would", r"ought", r"must", r"need(?:s|ed)?", r"supposed", r"expect\w*", r"wanted", r"wants?",
    r"wish\w*", r"(?:has|have|had|was|were|is|are) to(?! (?:the|its|his|her|their|left|right)\b)",
    r"request\w*", r"asked", r"asks?",
    r"calls? for", r"called for", r"demand\w*", r"requir\w*", r"the goal", r"meant", r"desired", r"intended", r"due",
)  # fmt: skip
"""Of the goal."""
SHOWS = any_of(r"currently", r"now", r"at present", r"at the moment", r"is shown", r"are shown")
"""Of the motion, in an instruction."""
_ASKED = r"(?:asked(?: for)?|requested|required|wanted|expected|needed|called for|desired)"
AGREES = any_of(
    rf"(?:just |exactly )?(?:as|like) (?:is |was |it is |it was )?{_ASKED}",
    r"(?:just |exactly )?(?:as|like) it should(?: be)?",
    r"(?:just |exactly )?(?:as|like) the goal (?:asks|wants|says|demands|requires)(?: for)?",
    rf"than (?:is |was |it was |what was )?{_ASKED}", r"than it (?:should|ought)(?: to)?(?: be)?",
    r"than the goal \w+(?: for)?", r"than (?:now|before|at present)",
    rf"(?:that|which) (?:was|is|were|are) {_ASKED}",
    r"(?:that|which) the goal (?:asks for|wants|requires|demands|calls for|has)",
    r"(?:does|do) not (?:match|fit|meet) the goal", r"(?:matches|fits|meets) the goal",
    r"compared (?:with|to) the goal", r"for the goal", r"of the goal",
)  # fmt: skip
"""Words that name the goal without saying what it holds."""
UNASKED = any_of(
    rf"(?:was|is|were|are) (?:not|never) (?:\w+ )?(?:{_ASKED}|part of the goal|in the goal)",
    r"(?:nobody|no one|noone) (?:\w+ )?(?:asked|asks|requested|wanted|wants)(?: for)?",
    r"(?:the goal|that) (?:does|did) not (?:ask|call|mention|want|include)\w*(?: for)?",
    r"unasked", r"unrequested", r"uncalled for", r"superfluous", r"unwanted", r"not asked for", r"not requested",
)  # fmt: skip
"""Of what the motion has, and the goal has not."""
MISSING = any_of(
    r"missing", r"absent", r"left out", r"leaves? out", r"omit(?:s|ted)?", r"skip(?:s|ped)?", r"lack(?:s|ing)?",
    r"fails? to", r"forg[eo]t\w*", r"(?:is|are|was) (?:not|never) (?:there|shown|done|performed|seen|included|present)",
    r"(?:does|do|did) not (?:happen|occur|take place|appear|show up)",
    r"never (?:happens?|occurs?|takes? place|appears?)",
)  # fmt: skip
"""Of what the goal has, and the motion has not."""
DENIES = any_of(
    r"not(?! (?:\w+ ){0,2}enough| so far| as far)", r"never", r"no", r"nobody", r"none", r"neither", r"without",
    r"nowhere", r"at no (?:point|time)", r"hardly", r"stays? out", r"kept out", r"idle", r"fails? to", r"forgets? to",
)  # fmt: skip
STOPS = any_of(
    r"do not", r"never", r"stop", r"avoid", r"leave out", r"leave away", r"remove", r"drop", r"omit", r"delete",
    r"cut(?: out)?", r"skip", r"get rid of", r"without", r"take out", r"take away", r"no more", r"no longer",
    r"should not", r"must not", r"should (?:rest|stay (?:still|out|down|away))", r"needs? not", r"ought not",
    r"(?:has|have) to go$",
)  # fmt: skip
"""Of what an instruction ends."""
KEEPS = re.compile(r"\b(?:do not|never) (?:leave out|forget|omit|skip|drop|miss|remove)\b(?: to)?")
"""Of what an instruction would not have ended."""
ADDS = any_of(
    r"add(?:ed)?", r"include", r"insert(?:ed)?", r"put in", r"bring in", r"(?:motion|it|there) needs an?",
    r"needs to have", r"let there be an?",
)  # fmt: skip
FINITE = any_of(
    r"is", r"are", r"was", r"were", r"does", r"did", r"has", r"have", r"had", r"goes", r"comes", r"uses", r"makes",
    r"covers", r"happens", r"starts", r"ends", r"begins", r"heads", r"leads", r"moves", r"gets", r"stops?", r"falls?",
    r"lasts?", r"reaches", r"takes", r"never", r"shows", r"sees?", r"seen", r"stays", r"remains", r"keeps", r"looks",
    r"it", r"he", r"she", r"they", r"we", r"person", r"figure", r"body", r"someone", r"motion", r"man", r"woman",
    r"there", r"actually", r"instead", r"here",
)  # fmt: skip
"""Verbs and subjects with which a new statement begins."""
NOUN = re.compile(r"(?:the|an?|any|its|his|her|their|one|no|another)\b")

_AFTER_VERB = "".join(
    rf"(?<!\b{verb})"
    for verb in (
        "do",
        "does",
        "did",
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "should",
        "must",
        "ought",
        "need",
        "needs",
        "can",
    )
)
CONNECTOR = re.compile(
    r"(?P<opposed>,?\s*\b(?:instead of|rather than|in place of|in lieu of|as opposed to|takes? the place of"
    r"|taking the place of)\b)"
    rf"|(?P<not>(?:,|\band|\bbut|,\s*and|,\s*but)?\s*{_AFTER_VERB}\s+\bnot\b"
    r"(?! (?:\w+ ){0,2}enough| only| just| so | as ))"
    r"|(?P<cut>[,;:(){}]|\b(?:but|yet|while|whereas|although|though|even though|however|because|since|so that|which"
    r"|where|when|as)\b)"
    r"|(?P<and>\b(?:and then|and(?! an? (?:half|quarter))|then)\b)"
)
"""Where one piece of a sentence ends, and how the next one stands to it."""

_TOPPLED = re.compile(r"\bwhat (?:should|ought to|was to) (?:be|have been) (?P<new>.+?) is (?P<old>.+)")
_REPLACES = (
    re.compile(r"\b(?:replace|exchange|substitute|swap|trade) (?P<old>.+?) (?:by|with|for) (?P<new>.+)"),
    re.compile(
        r"\b(?:change|switch|shift|alter|correct|turn|move|increase|reduce|raise|lower) (?P<what>.*?)"
        r"\bfrom (?P<old>.+?) to (?P<new>.+)"
    ),
    re.compile(r"\b(?:change|turn|make) (?P<old>.+?) into (?P<new>.+)"),
)


def rewritten(sentence: str) -> str:
    """Exchanges in the common form "new instead of old"."""
    if toppled := _TOPPLED.search(sentence):
        return f"{toppled['new']} should be, it is {toppled['old']}"
    for pattern in _REPLACES:
        if found := pattern.search(sentence):
            groups = found.groupdict()
            new, _, rest = groups["new"].partition(" when ")
            what = f"{groups.get('what') or ''} {'for ' + rest if rest else ''}"
            return f"{sentence[: found.start()]} {what} {new} instead of {groups['old']}"
    return sentence
