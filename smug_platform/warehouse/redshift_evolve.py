"""How a replica in Redshift follows the lake's columns, without keeping readers out."""

from collections.abc import Mapping, Sequence

from smug_platform.lake.target import Target
from smug_platform.warehouse import redshift_sql as sql
from smug_platform.warehouse.redshift_types import Column, grown


class Unfit(Exception):
    """A column's type holds neither what is there nor what comes: the table is loaded whole."""


def evolved(
    target: Target, held: Mapping[str, str], wanted: Sequence[Column], *, full: bool
) -> tuple[list[str], dict[str, str]]:
    """The statements that let a replica hold the wanted columns, and its columns' types then.

    Readers go on meanwhile. A table that takes the place of another is empty for one that has begun
    to read before, so that is done only where a key's type changes, or where a key comes
    whole that the replica lacks or can't hold: there are no types then. full: its rows are all
    loaded anew, so that what the lake has no more is dropped. Raises Unfit where the rows that are
    there do not fit.
    """
    added, wider, others = grown(held, wanted) if held else ([], [], [])
    if others and not full:
        unfit = ", ".join(f"{c.name}: {held[c.name]} is {c.type} now" for c in others)
        raise Unfit(f"{target.name}: {unfit}")
    if any(column.name in target.identity for column in (*added, *others)):
        return [], {}
    types = dict(held) | {column.name: column.type for column in (*added, *wider, *others)}
    statements = [sql.drop(target.name, column.name) for column in others]
    statements += [sql.add(target.name, column) for column in (*others, *added)]
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
