"""SQL text as tokens, with what stands in parentheses as one token. It knows no grammar.

A token's white space and comments become one space before it. Whatever the other modules do not
name is put back as it was written, so what is unknown fails in PostgreSQL, loudly.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.redshift.errors import Refused, syntax_error

_TOKEN = re.compile(
    r"""
    (?P<space>  (?: \s+ | --[^\n]* | /\*(?:[^*]|\*(?!/))*\*/ )+ )
  | (?P<string> [eE]?'(?:[^'\\]|\\.|'')*' )
  | (?P<dollar> \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
  | (?P<quoted> "(?:[^"]|"")+" )
  | (?P<number> (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? )
  | (?P<parameter> \$\d+ )
  | (?P<word>   [^\W\d][\w$]* )
  | (?P<operator> ::|<=|>=|<>|!=|\|\||->>|->|\#>>|\#>|@>|<@|!~\*|~\*|!~|[-+*/%<>=~^|&!?@\#] )
  | (?P<mark>   [(),;.:\[\]] )
    """,
    re.VERBOSE | re.DOTALL,
)


_LONGEST = 16 * 2**20  # bytes of a statement ("Quotas and limits")


@dataclass(frozen=True, slots=True)
class Token:
    """One token; of a group (kind "group") the inside, and no text."""

    kind: str
    text: str
    space: str = ""
    inside: tuple["Token", ...] = ()

    @property
    def name(self) -> str:
        """A word in lower case, an operator or mark as it is, of all else nothing."""
        if self.kind == "word":
            return self.text.lower()
        return self.text if self.kind in {"operator", "mark"} else ""

    @property
    def identifier(self) -> str:
        """The name that Redshift gives it: in lower case, quoted or not."""
        text = self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text
        return text.lower()

    @property
    def value(self) -> str:
        """What a string literal stands for."""
        text = self.text.strip("$") if self.kind == "dollar" else self.text.lstrip("eE")[1:-1]
        return re.sub(r"\\(.)", r"\1", text.replace("''", "'"), flags=re.DOTALL)

    @property
    def is_name(self) -> bool:
        return self.kind in {"word", "quoted"}

    @property
    def is_group(self) -> bool:
        return self.kind == "group"


NOTHING = Token("end", "")
Tokens = tuple[Token, ...]


def read(sql: str) -> Tokens:
    """
    >>> [token.text or token.kind for token in read("select f(a, b) -- why")]
    ['select', 'f', 'group']
    """
    levels: list[list[Token]] = [[]]
    opened: list[str] = []
    for token in _scan(sql):
        if token.name == "(":
            levels.append([])
            opened.append(token.space)
        elif token.name == ")":
            if not opened:
                raise syntax_error(")")
            inside = tuple(levels.pop())
            levels[-1].append(Token("group", "", opened.pop(), inside))
        else:
            levels[-1].append(token)
    if opened:
        raise syntax_error("")
    return tuple(levels[0])


def _scan(sql: str) -> Iterator[Token]:
    if len(sql.encode()) > _LONGEST:
        raise Refused("Statement is too large: more than 16 MB [refused]", "54000")
    at, space, before = 0, "", NOTHING
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        if found is None:
            raise syntax_error(sql[at])
        at = found.end()
        kind = next(name for name, text in found.groupdict().items() if text and name != "tag")
        if kind == "space":
            space = " "
            continue
        glued = before.kind == "number" and kind == "word"  # 4WHEN, which PostgreSQL 8 took
        before = Token(kind, found.group(), " " if glued else space)
        space = ""
        yield before


def text(tokens: Tokens) -> str:
    """The tokens as SQL."""
    return "".join(
        token.space + (f"({text(token.inside)})" if token.is_group else token.text)
        for token in tokens
    )


def split(tokens: Tokens, mark: str = ",") -> list[Tokens]:
    """
    >>> [text(part) for part in split(read("a,f(b,c),d"))]
    ['a', 'f(b,c)', 'd']
    """
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.name == mark:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def statements(sql: str) -> list[Tokens]:
    return [part for part in split(read(sql), ";") if part]


def unspaced(token: Token) -> Token:
    return replace(token, space="")


def quote(value: object) -> str:
    """A string literal; backslashes escape, as in Redshift.

    >>> quote("it's")
    "'it''s'"
    """
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Cursor:
    """A place in a sequence of tokens."""

    def __init__(self, tokens: Tokens, at: int = 0) -> None:
        self.tokens = tokens
        self.at = at

    @property
    def done(self) -> bool:
        return self.at >= len(self.tokens)

    @property
    def token(self) -> Token:
        return self.ahead(0)

    @property
    def name(self) -> str:
        return self.token.name

    @property
    def behind(self) -> Token:
        return self.ahead(-1)

    @property
    def rest(self) -> Tokens:
        return self.tokens[self.at :]

    def ahead(self, count: int = 1) -> Token:
        at = self.at + count
        return self.tokens[at] if 0 <= at < len(self.tokens) else NOTHING

    def take(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def skip(self, *names: str) -> bool:
        """Go past these words if they come next."""
        found = all(self.ahead(count).name == name for count, name in enumerate(names))
        if found:
            self.at += len(names)
        return found

    def expect(self, *names: str) -> None:
        if not self.skip(*names):
            raise syntax_error(self.token.text or "(")

    def table(self) -> list[str]:
        """The parts of a name with dots."""
        parts = []
        while True:
            token = self.take()
            if not token.is_name:
                raise syntax_error(token.text)
            parts.append(token.identifier)
            if not self.skip("."):
                return parts


def qualified(parts: list[str]) -> str:
    return ".".join(quote_name(part) for part in parts)
