"""One envelope, parsed by itself: what is made in another way than the compiled scanner reads.

Schema changes are, and what nobody here wrote.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_LINES = re.compile(rb'\{([^\n]+),\n"key":([^\n]+),\n"value":(\{.*\})\}', re.DOTALL)
_SOURCE = b',"source":{'  # the end of the row images, from where on all is about the change
_FILE = re.compile(r"\.(\d{1,18})$")
_INT, _LONG, _MILLIS = 9, 18, 15  # digits of numbers at most


@dataclass(frozen=True)
class Parsed:
    """What an envelope says, by the names that `scan.native` has; numbers that are absent are not
    there. op is 0 for a schema change. Offsets are into the envelope's bytes.
    """

    topic: bytes
    numbers: Mapping[str, int]


def parse(data: bytes) -> Parsed | None:
    """What an envelope says; None for what is none."""
    match = _LINES.fullmatch(data)
    if match is None or not is_text(data):
        return None
    head, about = _object(b"{" + match[1] + b"}"), _about(match[3])
    topic, epoch = head.get("topic"), _number(head.get("epoch"), _INT)
    if about is None or epoch is None or not isinstance(topic, str) or not _is_json(match[2]):
        return None
    places = {
        "key_begin": match.start(2),
        "key_end": match.end(2),
        "value_begin": match.start(3),
        "value_end": match.end(3),
    }
    found = {"epoch": epoch, "number": _number(head.get("number"), _INT), **about, **places}
    return Parsed(topic.encode(), {name: n for name, n in found.items() if n is not None})


def is_text(data: bytes) -> bool:
    """Whether it is UTF-8 throughout."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _about(payload: bytes) -> Mapping[str, int | None] | None:
    """What a payload says beside the row images: which change it is, and its place in the binlog;
    None when it does not say that.
    """
    at = payload.rfind(_SOURCE) if payload.startswith(b'{"before"') else -1
    found = _object(payload if at < 0 else b"{" + payload[at + 1 :])
    op, source = found.get("op"), found.get("source")
    if not isinstance(source, dict):
        return None
    file, offset = _FILE.search(str(source.get("file"))), _number(source.get("pos"), _LONG)
    letter = ord(op) if isinstance(op, str) and len(op) == 1 and op.isascii() else 0
    if file is None or offset is None or not (letter or _is_ddl(found)):
        return None
    return {
        "op": letter,
        "binlog_file": int(file[1]),
        "binlog_offset": offset,
        "row_number": _number(source.get("row"), _INT),
        "committed_at": _number(source.get("ts_us"), _LONG),
        "captured_at": _number(found.get("ts_ms"), _MILLIS),
    }


def _is_ddl(found: Mapping[str, Any]) -> bool:
    """Whether it is a schema change that names each table that it concerns."""
    changes = found.get("tableChanges")
    return (
        found.get("op") is None
        and isinstance(found.get("ddl"), str)
        and isinstance(changes, list)
        and all(isinstance(one, dict) and isinstance(one.get("id"), str) for one in changes)
    )


def _object(text: bytes) -> Mapping[str, Any]:
    """What a text of JSON holds; nothing when it is none, or no object."""
    try:
        found = orjson.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _number(value: Any, digits: int) -> int | None:
    """A whole number from 0 on of so many digits at most; None for all else."""
    return value if type(value) is int and 0 <= value < 10**digits else None
