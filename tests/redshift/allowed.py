"""What Redshift documents: its functions, types, reserved words and settings.

An allow list: PostgreSQL has some 2,800 functions, and one that nobody thought of must not pass.
"""

import re
from pathlib import Path

_HERE = Path(__file__).parent
_SPATIAL = re.compile(r"st_\w+|h3_\w+|addbbox|dropbbox|supportsbbox|geometrytype")


def _sections(file: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    words: set[str] = set()
    for line in (_HERE / file).read_text().splitlines():
        body = line.partition("#")[0]
        if title := re.match(r"\[(.+)\]", body):
            words = found.setdefault(title[1], set())
        else:
            words.update(body.split())
    return {title: frozenset(names) for title, names in found.items()}


_FUNCTIONS = _sections("functions.txt")
_WORDS = _sections("words.txt")

FUNCTIONS = frozenset().union(*_FUNCTIONS.values())
LEADER_ONLY = _FUNCTIONS["leader"]
RESERVED = _WORDS["reserved"]
NEVER_BARE = _WORDS["never bare"]
NOT_CALLED = _WORDS["not called"]
TYPES = _WORDS["types"]
CATALOG_TYPES = _WORDS["catalog types"]
SETTINGS = _WORDS["settings"]
SHARED_SETTINGS = _WORDS["postgres settings"]


def is_function(name: str) -> bool:
    """Whether Redshift documents a function of the name.

    >>> is_function("listagg"), is_function("string_agg")
    (True, False)
    """
    return name in FUNCTIONS or _SPATIAL.fullmatch(name) is not None
