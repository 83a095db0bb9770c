"""The type cases of texts, bytes and documents (D and E) that `type_cases` does not hold."""

from tests.conformance.cases import Typed, TypeTable
from tests.conformance.literals import hexes, texts

_MEMBERS = ("a,b", "it's", "(x)", "semi;colon", " lead", 'quo"te', "new\nline")
_ENUM = "ENUM(" + ", ".join(literal for literal, _ in texts(_MEMBERS)) + ")"
_HOSTILE = ("\r\n", "\t,|", "'\"", "\\", "\\N", "\ufeffbom", "NULL", "")

_ESCAPED = (
    "Debezium reads the members of an ENUM from the binlog with a backslash before a comma and for"
    " the end of a line"
)

MEMBERS = ("a,b", "it's", "(x)", "semi;colon", " lead", 'quo"te', "new\nline")
_ENUM = "ENUM(" + ", ".join(literal for literal, _ in texts(_MEMBERS)) + ")"
_HOSTILE = ("\r\n", "\t,|", "'\"", "\\", "\\N", "\ufeffbom", "NULL", "")

_ESCAPED = (
    "after a restart Debezium takes the members of an ENUM from its schema history, where a"
    " backslash stands before a comma, and for the end of a line"
)

MEMBERS = TypeTable(
    "members",
    (
        Typed(
            "E02",
            "tricky",
            _ENUM,
            "string",
            texts(_MEMBERS),
            xfail=_ESCAPED,
            xfail_on=("stream", "added", "restart"),
        ),
    ),
)
TEXT_TABLES = (
    MEMBERS,
    TypeTable(
        "texts",
        (
            Typed("D01", "fixed", "CHAR(5)", "string", [("'foo  '", "foo"), ("'  foo'", "  foo")]),
            Typed("D01", "spaced", "VARCHAR(10)", "string", texts(("foo  ", "  "))),
            Typed(
                "D03",
                "wide",
                "TEXT CHARACTER SET utf8mb4",
                "string",
                texts(("🎉👩‍👩‍👧", "e\u0301", "שלום", "a\0b")),
            ),
            Typed("D16", "hostile", "TEXT", "string", texts(_HOSTILE)),
            Typed("D17", "long_text", "LONG VARCHAR", "string", texts(("x", ""))),
            Typed("D17", "nothing", "VARCHAR(0)", "string", texts(("",))),
            Typed("D17", "national_text", "NATIONAL CHAR(10)", "string", texts(("ü", ""))),
        ),
    ),
    TypeTable(
        "bytes",
        (Typed("D11", "short", "VARBINARY(8)", "binary", hexes(0, "", "00", "0000", "FF00")),),
    ),
    TypeTable(
        "documents",
        (
            Typed("E11", "nothing", "JSON", "string", texts(("null", "{}", '{"a": null}'))),
            Typed("E16", "alias", "JSON", "string", texts(('{"b":1,  "a":2}', "[]"))),
        ),
    ),
)
