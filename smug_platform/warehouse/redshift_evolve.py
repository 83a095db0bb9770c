"""How a replica in Redshift follows the lake's columns, without keeping readers out."""

from collections.abc import Mapping, Sequence

from smug_platform.errors import WarehouseError
from smug_platform.lake.target import Target
from smug_platform.warehouse import redshift_sql as sql
from smug_platform.warehouse.redshift_types import Column, grown


def evolved(
    target: Target, held: Mapping[str, str], wanted: Sequence[Column], *, full: bool
) -> tuple[list[str], dict[str, str]]:
    """The statements that let a replica hold the wanted columns, and its columns' types then.

    Readers go on meanwhile. A table that takes the place of another is empty for one that has begun
    to read before, so that is done only where a key's type changes, and where a whole table comes
    that fits in no other way: there are no types then. full: its rows are all loaded anew, so that
    what the lake has no more is dropped. Raises WarehouseError where they do not fit.
    """
    try:
        added, wider = grown(target.name, held, wanted) if held else ([], [])
    except WarehouseError:
        if full:
            return [], {}
        raise
    types = dict(held) | {column.name: column.type for column in (*added, *wider)}
    statements = [sql.add(target.name, column) for column in added]
    # A text was made longer before, by a statement that is no part of a transaction.
    wider = [column for column in wider if not column.type.startswith("VARCHAR")]
    if any(column.name in target.identity for column in wider):
        every = [*(Column(*each) for each in types.items()), sql.LOADED_AT]
        statements += sql.rebuilt(target.name, every, target)
    else:
        statements += [one for column in wider for one in sql.retyped(target.name, column)]
    names = {column.name for column in wanted}
    for name in [name for name in types if full and name not in names]:
        statements.append(sql.drop(target.name, name))
        del types[name]
    return statements, types
