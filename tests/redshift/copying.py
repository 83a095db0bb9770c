"""COPY as written: its options, and which go together."""

import re

from tests.redshift.errors import Refused, not_emulated, syntax_error, unsupported
from tests.redshift.lexer import Cursor, split
from tests.redshift.plans import Copy

_WITH_VALUE = {
    "iam_role", "credentials", "access_key_id", "secret_access_key", "session_token", "region",
    "null", "delimiter",
}  # fmt: skip
_WITH_NUMBER = {"ignoreheader", "comprows"}
_WITH_SWITCH = {"statupdate", "compupdate"}
_FLAGS = {"manifest", "gzip", "emptyasnull", "truncatecolumns", "explicit_ids", "serializetojson"}
# Those that Redshift has and that would change what is loaded.
_ELSEWHERE = {
    "bzip2", "zstd", "lzop", "orc", "avro", "fixedwidth", "shapefile", "encrypted", "ssh", "quote",
    "maxerror", "readratio", "dateformat", "timeformat", "encoding", "blanksasnull",
    "acceptanydate", "fillrecord", "removequotes", "trimblanks", "ignoreblanklines", "noload",
    "acceptinvchars", "escape", "ignoreallerrors", "roundec",
}  # fmt: skip
_FORMATS = {"parquet", "csv", "json"}

# "COPY from columnar data formats": the options that it takes.
_COLUMNAR = {
    "format", "iam_role", "credentials", "access_key_id", "secret_access_key", "session_token",
    "region", "fillrecord", "statupdate", "manifest", "explicit_ids", "acceptinvchars",
    "serializetojson",
}  # fmt: skip
_SIGNED_BY = {"iam_role", "credentials", "access_key_id"}
_ROLE = re.compile(r"default|arn:aws[\w-]*:iam::\d{12}:role/.+")


def copy(cursor: Cursor) -> Copy:
    """The rest of a COPY statement."""
    table = cursor.table()
    inside = cursor.take().inside if cursor.token.is_group else ()
    columns = [part[0].identifier for part in split(inside) if part]
    cursor.expect("from")
    if cursor.token.kind != "string":
        raise unsupported("COPY from anything but 's3://...'")
    found = Copy(table, columns, cursor.take().value, {"format": "text"})
    while not cursor.done:
        _option(cursor, found.options)
    _check(found)
    return found


def _option(cursor: Cursor, options: dict[str, str | int | bool]) -> None:
    name = cursor.take().name
    if name in _WITH_VALUE | _WITH_NUMBER:
        cursor.skip("as")
        token = cursor.take()
        value = token.value if token.kind == "string" else token.text.lower()
        options[name] = int(value) if name in _WITH_NUMBER else value
    elif name in _WITH_SWITCH:
        options[name] = (
            cursor.take().name if cursor.name in {"on", "off", "true", "false"} else "on"
        )
    elif name in _FLAGS:
        options[name] = True
    elif name == "format":
        cursor.skip("as")
        _format(cursor.take().name, cursor, options)
    elif name in _FORMATS:
        _format(name, cursor, options)
    elif name in _ELSEWHERE:
        _refuse_other(name, options)
    elif name not in {"with", "as", ","}:
        raise syntax_error(name or cursor.behind.text)


def _refuse_other(name: str, options: dict[str, str | int | bool]) -> None:
    if options["format"] == "parquet" and name not in _COLUMNAR:
        raise _not_columnar(name)
    raise not_emulated(f"COPY ... {name.upper()}")


def _not_columnar(name: str) -> Refused:
    return Refused(f"{name.upper()} argument is not supported for PARQUET based COPY [refused]")


def _format(name: str, cursor: Cursor, options: dict[str, str | int | bool]) -> None:
    if name in _ELSEWHERE:
        raise not_emulated(f"COPY ... {name.upper()}")
    if name not in _FORMATS:
        raise syntax_error(name)
    options["format"] = name
    if name == "json":
        cursor.skip("as")
        if cursor.take().value not in {"auto", "auto ignorecase"}:
            raise not_emulated("COPY JSON with a file of paths")


def _check(copy: Copy) -> None:
    if not _SIGNED_BY & set(copy.options):
        raise Refused("COPY needs IAM_ROLE, CREDENTIALS or ACCESS_KEY_ID [refused]", "42601")
    if not _ROLE.fullmatch(str(copy.options.get("iam_role", "default"))):
        raise Refused(f"invalid role {copy.options['iam_role']} [refused]", "XX000")
    if not copy.url.startswith("s3://"):
        raise not_emulated(f"COPY from {copy.url}")
    if copy.options["format"] == "parquet" and (odd := set(copy.options) - _COLUMNAR):
        raise _not_columnar(min(odd))
