"""The type cases of texts, bytes and documents (D and E) that `type_cases` does not hold."""

from tests.conformance.cases import Typed, TypeTable
from tests.conformance.literals import hexes, texts

_MEMBERS = ("a,b", "it's", "(x)", "semi;colon", " lead", 'quo"te', "new\nline", "back\\slash")
_SET = ("x\ny", "p", "b\\s")
_ENUM = "ENUM(" + ", ".join(literal for literal, _ in texts(_MEMBERS)) + ")"
_MANY = "SET(" + ", ".join(literal for literal, _ in texts(_SET)) + ")"
_HOSTILE = ("\r\n", "\t,|", "'\"", "\\", "\\N", "\ufeffbom", "NULL", "")

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
