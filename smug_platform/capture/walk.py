"""What of a table's changes is on the stream while its rows are read beside it.

A row comes with the piece that it is read in, and its changes from there on. A change of a row
that is yet to be read is left out: the piece stands at a later place of the binlog and has what
became of it. So who adds changes up, as the live numbers do, has each row once, whenever it was
changed. Not so after a kill: what was sent of a piece that is not yet remembered comes again from a
later place, and the lake alone tells that from another row.
"""

from collections.abc import Mapping, Sequence

import orjson

from smug_platform.capture.change import Change
from smug_platform.capture.state import Unread


def without_unread(changes: Sequence[Change], unread: Sequence[Unread]) -> Sequence[Change]:
    """The changes without those of rows that are yet to be read.

    Where a key is no integer the order of keys is the server's alone: all changes stay.

    >>> table = Unread("t", low=("4",), high=("9",), numbers=("id",))
    >>> keys = (4, 5, 9, 10)
    >>> changes = [Change("s.d.t", f'{{"id":{key}}}', "{}") for key in keys]
    >>> [change.key for change in without_unread(changes, [table])]
    ['{"id":4}', '{"id":10}']
    """
    tables = {one.table: one for one in unread if one.numbers}
    return [change for change in changes if not _is_unread(change, tables)] if tables else changes


def _is_unread(change: Change, tables: Mapping[str, Unread]) -> bool:
    table = tables.get(change.topic.rpartition(".")[2])
    if table is None or change.key is None or "." not in change.topic:  # a TRUNCATE has no key
        return False
    if table.high is None:
        return True
    told = orjson.loads(change.key)
    key = tuple(int(told[name]) for name in table.numbers)
    is_read = table.low is not None and key <= tuple(map(int, table.low))
    return not is_read and key <= tuple(map(int, table.high))
