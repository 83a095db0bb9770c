"""What can go wrong at the source, by what puts it right.

Three kinds: it may pass (`SourceUnavailable` and `Refused`: try again later), a new snapshot puts
it right (`NeedsSnapshot` and its children: the engine notes it and the next start does it), or a
person has to (plain `SourceError`).
"""

import re

from smug_platform.errors import SourceError

# What `events` says of an event of the binlog.
DAMAGED = "does not match its checksum"
UNKNOWN = "is of a type that capture does not know"
INCIDENT = "says that the server lost events"


class SourceUnavailable(SourceError):
    """The server can't be reached, or the connection to it was lost: it may pass."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(problem, remedy=remedy, passes=True)


class Refused(SourceUnavailable):
    """The server does not let us in, or is not the one that is trusted, as while a password or a
    certificate is rotated. Connections that stand are not touched by it.
    """


class NeedsSnapshot(SourceError):
    """What was captured can't be continued; the next start takes a new snapshot of this shard."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(problem, remedy=remedy, passes=True)


class Renumbered(NeedsSnapshot):
    """The server's binlog numbering began anew, or it is another server: a new epoch."""


class BinlogPurged(NeedsSnapshot):
    """The binlog that capture needs next is gone."""


class SchemaDrift(NeedsSnapshot):
    """A table changed its columns without the binlog saying so."""


class UnreadableSchemaChange(NeedsSnapshot):
    """A statement that Debezium's parser does not know; a snapshot begins after it."""


class EventsLost(NeedsSnapshot):
    """The server lost events of the binlog (an INCIDENT): nothing tells what they did."""


class DamagedEvent(SourceError):
    """An event of the binlog does not match its checksum."""


class UnknownEvent(SourceError):
    """An event of the binlog is of a type that capture does not know: it may be changes of rows."""


NOTHING_TO_DO = "nothing to do: capture starts again with a new snapshot of this shard"

_DAMAGED_REMEDY = (
    "restart the worker; if it comes again at that place, the server's file is damaged: see"
    " docs/operations.md"
)
_UNKNOWN_REMEDY = "turn off what writes it; see docs/operations.md"
_PURGED = (
    "could not find first log file name",
    "purged required binary logs",
    "no longer available on the server",
)
_DRIFT = ("internal schema size", "column count", "schema isn't known", "schema is not known")
_BROKEN_OFF = ("could not find next log",)
_RENUMBERED = ("bogus data in log event", "event checksum", "client requested master to start")
_CLASS_NAME = re.compile(r"(?:[a-z]\w*\.)+[A-Z][\w$]*(?::\s*)?")
_EMPTY_WORDS = (
    "An exception occurred in the change event producer. This connector will be stopped.",
    "Error processing binlog event",
    "Multiple parsing errors",
    "Please open a Jira issue with the statement",
)
_UNREADABLE = ("couldn't be parsed", "parsing errors")
_DENIED = ("access denied", "command denied")
_LOST = (
    "communications link failure",
    "connection refused",
    "connection reset",
    "failed to establish connection",
    "failed to connect",
    "unexpected end of stream",
    "broken pipe",
    "timed out",
    "too many connections",
    "server shutdown",
)


def classify(shard: str, chain: list[str]) -> SourceError:
    """The error of a failed engine, from the messages of its exception and of its causes.

    >>> type(classify("shard_0", ["Error processing row in t, internal schema size 32"])).__name__
    'SchemaDrift'
    """
    text = " | ".join(dict.fromkeys(filter(None, map(_told, reversed(chain)))))
    low = text.lower()
    kinds: tuple[tuple[tuple[str, ...], type[SourceError], str, str], ...] = (
        ((INCIDENT,), EventsLost, "the server lost changes", NOTHING_TO_DO),
        ((DAMAGED,), DamagedEvent, "an event of the binlog is damaged", _DAMAGED_REMEDY),
        ((UNKNOWN,), UnknownEvent, "the binlog has what capture can't read", _UNKNOWN_REMEDY),
        (_DRIFT, SchemaDrift, "a table changed without the binlog saying so", NOTHING_TO_DO),
        (
            _UNREADABLE,
            UnreadableSchemaChange,
            "Debezium can't read a statement in the binlog",
            NOTHING_TO_DO,
        ),
        (_PURGED, BinlogPurged, "the binlog that capture needs next is gone", NOTHING_TO_DO),
        (
            _RENUMBERED,
            Renumbered,
            "the binlog is not the one that capture was reading",
            NOTHING_TO_DO,
        ),
        (
            _BROKEN_OFF,
            SourceUnavailable,
            "the binlog breaks off where it was read",
            "nothing to do: capture connects anew, and looks what has become of it",
        ),
        (_DENIED, Refused, "the server refuses the user", "check its password and grants"),
        (_LOST, SourceUnavailable, "the server can't be reached", "check that it is running"),
    )
    for words, kind, problem, remedy in kinds:
        if any(word in low for word in words):
            return kind(f"{shard}: {problem} ({_short(text)})", remedy=remedy)
    return SourceError(
        f"{shard}: capture stopped ({_short(text) or 'no reason given'})",
        remedy="see logs/debezium.log in the home folder",
    )


def _told(message: str) -> str:
    """A message without Java's class names and without what says nothing."""
    text = _CLASS_NAME.sub("", message)
    for words in _EMPTY_WORDS:
        text = text.replace(words, "")
    return text.strip()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:297] + "..."
