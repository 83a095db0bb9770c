"""The lake's tables: one a source table, and one more for its history where that is kept."""

from dataclasses import dataclass

from smug_platform.tables.table import Source, Table

META = ("_shard", "_position", "_committed_at", "_is_deleted", "_moved_to")
ROW_ID = "_content_id"  # tells the rows of a table without a key apart
RESERVED = frozenset(
    {
        *META, ROW_ID, "_file", "_row", "_i", "_op", "_sign", "_same", "_r", "_unknown", "_reason",
        "_held", "_of_shard", "_floor", "_mark", "_hash", "_winner", "_lost", "_alive", "_carried",
        "_order", "_rank", "_loaded_at", "_zeros",
    }
)  # fmt: skip
"""Names that a source column must not have: the platform's own, of the lake and of a merge."""


@dataclass(frozen=True)
class Target:
    """A table of the lake. alias: its name where it is not the usual one, of a copy.

    >>> from smug_platform.tables.flickr import FLICKR
    >>> Target(FLICKR.table("accounts"), history=True).identity
    ('_shard', 'id', '_position')
    """

    table: Table
    history: bool = False
    alias: str = ""

    @property
    def name(self) -> str:
        """Its name in the lake and in the warehouse."""
        return self.alias or self._usual

    @property
    def _usual(self) -> str:
        return f"{self.table.name}_history" if self.history else self.table.name

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that tell its rows apart."""
        key = self.table.key or (ROW_ID,)
        return ("_shard", *key, "_position") if self.history else ("_shard", *key)

    def loads(self, column: str) -> bool:
        """Whether the warehouse takes a column of the lake; `<name>_is_zero` goes with its date.

        >>> from smug_platform.tables.table import Table
        >>> wide = Table(name="w", domain="d", owner="o", warehouse_columns=("a", "b"))
        >>> [name for name in ("_shard", "id", "a", "c") if Target(wide).loads(name)]
        ['_shard', 'id', 'a']
        """
        taken = self.table.warehouse_columns
        flags = (f"{name}_is_zero" for name in taken if name in self.table.zero_dates)
        return not taken or column in (*self.meta, *self.table.key, *taken, *flags)

    @property
    def meta(self) -> tuple[str, ...]:
        """The columns that the platform adds to the source's."""
        return META if self.table.key else (*META, ROW_ID)


def targets(source: Source) -> tuple[Target, ...]:
    """Every table of the lake, in the contract's order."""
    return tuple(
        target
        for table in source.tables
        for target in (Target(table), Target(table, history=True))
        if table.history or not target.history
    )
