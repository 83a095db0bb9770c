"""What the variables of a source server say about capture, as rules. Pure.

MariaDB has no partial JSON and no transaction payloads, MySQL no compressed events; a variable
that a server lacks has no finding. What each means is in the MySQL manual, "Binary Logging Options
and Variables", and in Debezium's "Setting up MySQL".
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from smug_platform.capture.finding import Finding, Severity

Variables = Mapping[str, str]
SHORT_SECONDS = 86_400  # of retention: less does not outlast a night and a morning


@dataclass(frozen=True)
class _Rule:
    """found: tells the problem, "" where there is none."""

    severity: Severity
    check: str
    found: Callable[[Variables], str]
    remedy: str


def _is_not(name: str, wanted: str) -> Callable[[Variables], str]:
    def found(variables: Variables) -> str:
        value = variables.get(name, wanted)
        return "" if value.upper() == wanted else f"{name} is {value or 'empty'}"

    return found


def _binlog_is_off(variables: Variables) -> str:
    return "" if variables.get("log_bin", "ON").upper() == "ON" else "its binlog is off"


def _partial_json(variables: Variables) -> str:
    value = variables.get("binlog_row_value_options", "")
    return f"binlog_row_value_options is {value}" if "PARTIAL_JSON" in value.upper() else ""


def _allows_invalid_dates(variables: Variables) -> str:
    mode = variables.get("sql_mode", "").upper()
    return "sql_mode has ALLOW_INVALID_DATES" if "ALLOW_INVALID_DATES" in mode else ""


def _no_server_id(variables: Variables) -> str:
    return "server_id is 0" if variables.get("server_id") == "0" else ""


def _short_retention(variables: Variables) -> str:
    kept = kept_seconds(variables)
    if kept is None or kept >= SHORT_SECONDS:
        return ""
    return f"binlogs are kept for {kept / 3600:,.1f} h"


def _limited_by_size(variables: Variables) -> str:
    for name in ("max_binlog_total_size", "binlog_space_limit"):
        if int(variables.get(name) or 0):
            return f"binlogs are purged past {name} = {variables[name]} bytes, however new"
    return ""


def _not_synced(variables: Variables) -> str:
    value = variables.get("sync_binlog", "1")
    return "" if value == "1" else f"sync_binlog is {value}"


# In the order in which they are told. Blocking ones are raised one at a time by a capture's start.
_RULES = (
    _Rule("blocking", "binlog", _binlog_is_off, "start it with log_bin"),
    _Rule("blocking", "binlog_format", _is_not("binlog_format", "ROW"), "set it to ROW"),
    _Rule("blocking", "row_image", _is_not("binlog_row_image", "FULL"), "set it to FULL"),
    _Rule(
        "blocking",
        "partial_json",
        _partial_json,
        "set it to '': Debezium does not read partial updates of JSON columns",
    ),
    _Rule(
        "blocking",
        "compression",
        _is_not("log_bin_compress", "OFF"),
        "set it to OFF: MariaDB's compressed events are no part of the MySQL protocol, and capture"
        " ends at the first",
    ),
    _Rule("blocking", "server_id", _no_server_id, "give it a number of its own"),
    _Rule(
        "warning",
        "invalid_dates",
        _allows_invalid_dates,
        "take it away: 31 February and its like read NULL, and may end a first snapshot where they"
        " are in a table that can't be read in pieces",
    ),
    _Rule(
        "warning",
        "retention",
        _short_retention,
        "keep them for a day at least (binlog_expire_logs_seconds): capture that stood still for"
        " longer reads the whole shard anew",
    ),
    _Rule(
        "warning",
        "retention_size",
        _limited_by_size,
        "set it to 0, or so high that a day of changes stays below it",
    ),
    _Rule(
        "note",
        "compression",
        _is_not("binlog_transaction_compression", "OFF"),
        "nothing, Debezium reads them; the server's own figures of the binlog are of packed bytes",
    ),
    _Rule(
        "note",
        "row_metadata",
        _is_not("binlog_row_metadata", "FULL"),
        "nothing: names and charsets come from the schema history. With FULL other readers of the"
        " binlog have them too",
    ),
    _Rule(
        "note",
        "sync_binlog",
        _not_synced,
        "with 1 a crash of the machine can't take back what was captured; else the shard is then"
        " read anew",
    ),
)


def find_in_variables(variables: Variables, shard: str) -> Iterator[Finding]:
    """The findings of one server's variables.

    >>> [finding.check for finding in find_in_variables({"binlog_format": "MIXED"}, "shard_0")]
    ['binlog_format']
    """
    for rule in _RULES:
        if problem := rule.found(variables):
            yield Finding(rule.severity, rule.check, shard, f"{shard}: {problem}", rule.remedy)


def kept_seconds(variables: Variables) -> float | None:
    """How long the server keeps a binlog file that it does not write any more; None: for ever.

    >>> kept_seconds({"expire_logs_days": "7.000000"})
    604800.0
    """
    if variables.get("binlog_expire_logs_auto_purge", "ON").upper() == "OFF":
        return None
    if (hours := variables.get("rds: binlog retention hours")) is not None:
        return float(hours or 0) * 3600
    seconds = float(variables.get("binlog_expire_logs_seconds") or 0)
    return seconds or float(variables.get("expire_logs_days") or 0) * 86_400 or None
