"""The contract of one captured table, as frozen data.

Columns and types are not written down here: they come from the source's own schema, through the
schema-change events of the binlog. What the source can't know is: how rows are told apart over
all shards, who owns the table, which columns are personal, whether its history is kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Literal

KeyScope = Literal["global", "shard"]
PiiClass = Literal["email", "name", "address", "network", "free_text"]

FLAG = "flag"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table to capture.

    key: the columns that tell rows apart; empty for a table without a key, whose rows are a
        multiset.
    key_scope: "global" when a key is unique over all shards (ids from a ticket server), so that
        a row moved between shards stays one row; "shard" when each shard numbers for itself.
    domain: the lake's tables are grouped by it.
    reference: a small table that every shard holds a copy of and that seldom changes, so that no
        freshness is expected of it.
    history: also keep `<name>_history`, one row a change, for slowly changing dimensions.
    pii: the personal columns and their class.
    account: the column that names the member account whose row it is; needed where a column is
        personal, for each account's are erased by themselves.
    on_erase: what becomes of an account's rows when it is erased: "delete", or "blank" for books
        that must be kept, whose personal columns alone are cleared.
    excluded: columns that never leave the source.
    zero_dates: what a column reads where the source has 0000-00-00 or another date that is none,
        for columns that are to tell it: "flag" for NULL and a column `<name>_is_zero` beside it, or
        a day that stands for it, as "9999-12-31". Others read NULL.
    warehouse_columns: what the warehouse takes of a table that is too wide for it, beside the key;
        empty for all columns. The lake has all of them all the same.

    Raises ValueError when the declaration is impossible.

    >>> Table(name="photos", domain="photos", owner="team:photos").key
    ('id',)
    """

    name: str
    domain: str
    owner: str
    description: str = ""
    key: tuple[str, ...] = ("id",)
    key_scope: KeyScope = "global"
    reference: bool = False
    history: bool = False
    pii: Mapping[str, PiiClass] = field(default_factory=dict, hash=False)
    account: str = ""
    on_erase: Literal["delete", "blank"] = "delete"
    excluded: tuple[str, ...] = ()
    zero_dates: Mapping[str, str] = field(default_factory=dict, hash=False)
    warehouse_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pii", MappingProxyType(dict(self.pii)))
        object.__setattr__(self, "zero_dates", MappingProxyType(dict(self.zero_dates)))
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"table {self.name!r}: a name is lower-case snake_case of at most 63 characters"
            )
        if self.name.endswith("_history"):
            raise ValueError(f"table {self.name!r}: the ending _history is kept for `history=True`")
        if len(set(self.key)) != len(self.key):
            raise ValueError(f"table {self.name!r}: the key names a column twice")
        if not self.key and (self.history or self.key_scope == "global"):
            raise ValueError(
                f"table {self.name!r}: without a key its scope is 'shard' and it has no history"
            )
        if lost := set(self.key) & set(self.excluded):
            raise ValueError(f"table {self.name!r}: key column {min(lost)!r} is excluded")
        if lost := set(self.warehouse_columns) & set(self.excluded):
            raise ValueError(f"table {self.name!r}: {min(lost)!r} is excluded and of the warehouse")
        self._check_pii()
        self._check_zero_dates()

    def _check_pii(self) -> None:
        if lost := set(self.pii) & set(self.excluded):
            raise ValueError(f"table {self.name!r}: {min(lost)!r} is excluded and has a class")
        if self.pii and not self.account:
            raise ValueError(f"table {self.name!r}: it has personal columns, and no account column")
        if lost := set(self.pii) & {self.account, *self.key}:
            raise ValueError(f"table {self.name!r}: {min(lost)!r} tells rows apart and has a class")

    def _check_zero_dates(self) -> None:
        if lost := set(self.zero_dates) & set(self.excluded):
            raise ValueError(f"table {self.name!r}: {min(lost)!r} is excluded and has zero dates")
        for column, policy in self.zero_dates.items():
            if policy == FLAG and column in self.key:
                raise ValueError(
                    f"table {self.name!r}: key column {column!r} can't be NULL for a zero date:"
                    " name a day that stands for it"
                )
            if policy != FLAG and not _is_day(policy):
                raise ValueError(
                    f"table {self.name!r}: {policy!r} is neither {FLAG!r} nor a day for the zero"
                    f" dates of {column!r}"
                )


def _is_day(text: str) -> bool:
    """Whether it is a day as `2026-01-31`."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class Source:
    """A sharded database: the same tables on each of its shards.

    connector: Debezium's connector, "mysql" or "mariadb".

    Raises ValueError when two tables share a name.
    """

    database: str
    tables: tuple[Table, ...]
    connector: Literal["mysql", "mariadb"] = "mysql"

    def __post_init__(self) -> None:
        if twice := {name for name in self.names if self.names.count(name) > 1}:
            raise ValueError(f"source {self.database!r}: table {min(twice)!r} is declared twice")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its tables."""
        return tuple(table.name for table in self.tables)

    def table(self, name: str) -> Table:
        """The table of that name; raises KeyError for one that is not declared."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)
