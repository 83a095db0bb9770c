"""The type cases of texts, bytes and documents (D and E) that `type_cases` does not hold."""

from tests.conformance.cases import Typed, TypeTable
from tests.conformance.literals import hexes, texts

_UNKNOWN_TO_JAVA = [
    ("_latin1 x'61818D8F909DE980'", "a\x81\x8d\x8f\x90\x9dé€"),
    ("_latin1 x'9D'", "\x9d"),
]

_MEMBERS = ("a,b", "it's", "(x)", "semi;colon", " lead", 'quo"te', "new\nline", "back\\slash")
_SET = ("x\ny", "p", "b\\s")
_ENUM = "ENUM(" + ", ".join(literal for literal, _ in texts(_MEMBERS)) + ")"
_MANY = "SET(" + ", ".join(literal for literal, _ in texts(_SET)) + ")"
_HOSTILE = ("\r\n", "\t,|", "'\"", "\\", "\\N", "\ufeffbom", "NULL", "")


LATIN1_GAPS = TypeTable(
    "latin1_gaps",
    tuple(
        Typed(
            "D08",
            name,
            f"{kind} CHARACTER SET latin1",
            "string",
            _UNKNOWN_TO_JAVA,
        )
        for name, kind in (("odd", "VARCHAR(20)"), ("odd_text", "TEXT"))
    ),
)

TEXT_TABLES = (
    TypeTable(
        "members",
        (
            Typed("E02", "tricky", _ENUM, "string", texts(_MEMBERS)),
            Typed("E02", "tricky_set", _MANY, "string", [*texts(_SET), ("'x\\ny,p'", "x\ny,p")]),
        ),
    ),
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
    LATIN1_GAPS,
    TypeTable(
        "bytes",
        (
            Typed("D11", "short", "VARBINARY(8)", "binary", hexes(0, "", "00", "0000", "FF00")),
            Typed("D05", "of_text", "TEXT COLLATE binary", "binary", hexes(0, "", "00FF", "C3A9")),
            Typed(
                "D05", "of_varchar", "VARCHAR(8) CHARACTER SET binary", "binary", hexes(0, "FF00")
            ),
            Typed("D05", "of_char", "CHAR(4) CHARACTER SET binary", "binary", hexes(4, "FF00", "")),
        ),
    ),
    TypeTable(
        "documents",
        (
            Typed("E11", "nothing", "JSON", "string", texts(("null", "{}", '{"a": null}'))),
            Typed("E16", "alias", "JSON", "string", texts(('{"b":1,  "a":2}', "[]"))),
        ),
    ),
)
