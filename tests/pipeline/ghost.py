"""What gh-ost does to a table, step by step and by its names; its binary is not among Debian's.

The ghost table is filled in chunks and by what the binlog says of the table, there are no triggers.
At the cut-over one connection locks the table and a sentry under the old table's name, another asks
for the rename of both, which waits; the first drops the sentry and unlocks.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymysql.cursors import Cursor
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from smug_platform.local.mariadb import connect
from smug_platform.settings import Shard

LOCKED = "AllEventsUpToLockProcessed"


class Ghost:
    """A migration of flickr.albums. change: what ALTER TABLE is told."""

    def __init__(self, shard: Shard, cursor: Cursor, change: str) -> None:
        self.shard, self.cursor = shard, cursor
        cursor.execute(
            "create /* gh-ost */ table _albums_ghc (id bigint unsigned auto_increment primary key,"
            " last_update timestamp not null default current_timestamp on update current_timestamp,"
            " hint varchar(64) not null unique, value varchar(4096) not null)"
            " auto_increment=256 comment='gh-ost changelog'"
        )
        cursor.execute("create /* gh-ost */ table _albums_gho like albums")
        cursor.execute(f"alter /* gh-ost */ table _albums_gho {change}")
        cursor.execute("show columns from albums")
        self.names = [row[0] for row in cursor.fetchall()]
        cursor.execute("select max(id) from albums")
        ((self.last,),) = cursor.fetchall()
        cursor.execute("show master status")
        file, position, *_ = cursor.fetchone() or ()
        self.reader = BinLogStreamReader(
            connection_settings={
                "host": shard.host, "port": shard.port, "user": shard.user,
                "password": shard.password,
            },
            server_id=990, log_file=file, log_pos=position, resume_stream=True,
            only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent],
            only_tables=["albums", "_albums_ghc"],
        )  # fmt: skip

    def copy(self, chunk: int = 2000) -> None:
        """Copy the rows that were there at first, and what the binlog has come to meanwhile."""
        names = ", ".join(self.names)
        for first in range(1, self.last + 1, chunk):
            self.cursor.execute(
                f"insert /* gh-ost */ ignore into _albums_gho ({names}) (select {names} from albums"
                f" where id between {first} and {first + chunk - 1} lock in share mode)"
            )
            self.apply(f"chunk {first}")

    def apply(self, mark: str) -> None:
        """Apply what the binlog says of the table, up to a mark that is written now."""
        self.cursor.execute(
            "insert /* gh-ost */ into _albums_ghc (hint, value) values ('state', %s)"
            " on duplicate key update value = values(value)",
            [mark],
        )
        self.cursor.execute("begin")
        while True:
            for event in self.reader:
                for row in event.rows:
                    before, after = (
                        list(row.get(name, row.get("values", {})).values())
                        for name in ("before_values", "after_values")
                    )
                    if event.table == "albums":
                        self._apply(event, before, after)
                    elif after[-1] == mark:
                        self.cursor.execute("commit")
                        return

    def _apply(self, event: Any, before: list[Any], after: list[Any]) -> None:
        after[self.names.index("is_public")] = int(
            after[self.names.index("is_public")], 2
        )  # digits
        if isinstance(event, DeleteRowsEvent):
            self._run("delete /* gh-ost */ from _albums_gho where id = %s", before[0])
        elif isinstance(event, WriteRowsEvent):
            names, places = ", ".join(self.names), ", ".join(["%s"] * len(after))
            insert = f"replace /* gh-ost */ into _albums_gho ({names}) values ({places})"
            self._run(insert, *after)
        else:
            places = ", ".join(f"{name} = %s" for name in self.names)
            update = f"update /* gh-ost */ _albums_gho set {places} where id = %s"
            self._run(update, *after, before[0])

    def _run(self, sql: str, *values: Any) -> None:
        self.cursor.execute(sql, values)

    @contextmanager
    def cut_over(self) -> Iterator[None]:
        """The block runs while the table is locked and the rename waits; then they are swapped."""
        with connect(self.shard, database="flickr") as locking:
            locking.execute(
                "create /* gh-ost */ table _albums_del (id int auto_increment primary key)"
                " comment='ghost-cut-over-sentry'"
            )
            locking.execute("lock /* gh-ost */ tables albums write, _albums_del write")
            self.apply(LOCKED)
            renaming = threading.Thread(target=self._rename)
            renaming.start()
            try:
                while self.waiting("rename%") == 0:
                    renaming.join(0.01)
                yield
            finally:
                locking.execute("drop /* gh-ost */ table if exists _albums_del")
                locking.execute("unlock tables")
                renaming.join()
        self.cursor.execute("drop /* gh-ost */ table _albums_ghc")
        self.reader.close()

    def _rename(self) -> None:
        with connect(self.shard, database="flickr") as cursor:
            cursor.execute("rename /* gh-ost */ table albums to _albums_del, _albums_gho to albums")

    def waiting(self, statement: str) -> int:
        """How many statements of that kind wait for the table."""
        self.cursor.execute(
            "select count(*) from information_schema.processlist"
            f" where info like '{statement}' and state like 'Waiting for table metadata lock%'"
        )
        ((count,),) = self.cursor.fetchall()
        return int(count)
