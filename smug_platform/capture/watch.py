"""What Debezium does not notice about its server, noticed.

After RESET MASTER a MariaDB server goes on sending heartbeats from the deleted file, and no change
ever comes; a server that went away leaves silence, and so does a half-open connection, also when
another server has taken its place. So every few seconds the server is asked, on a connection of its
own, who it is, since when it runs and where it writes.
"""

import time
from dataclasses import dataclass, field

from smug_platform.capture import server as source_server
from smug_platform.capture.failures import NOTHING_TO_DO, Renumbered, SourceUnavailable
from smug_platform.capture.position import file_number
from smug_platform.capture.state import Mark
from smug_platform.settings import Shard

STALL_SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """How far the engine has come: its offset's text, and the binlog place in it."""

    offset: str
    file: str
    pos: int


@dataclass
class Watch:
    """Compares the server with the engine; raises Renumbered or SourceUnavailable."""

    shard: Shard
    _seen: str = ""
    _since: float = field(default_factory=time.monotonic)
    _run: source_server.Run | None = None

    def begin(self) -> None:
        """Note which server it is that the engine begins with."""
        with source_server.connect(self.shard) as connection:
            self.recognize(source_server.read_run(connection))

    def check(
        self, place: Place, begun: tuple[str, int] | None, *, busy: bool = False
    ) -> Mark | None:
        """Ask the server once.

        begun: where the last captured transaction began; a new mark of it is returned, None when
        it can't be made. busy: the sink is at work, so that standing still is no fault of the
        server's.
        """
        with source_server.connect(self.shard) as connection:
            self.recognize(source_server.read_run(connection))
            newest = source_server.newest_position(connection)
            mark = source_server.make_mark(connection, *begun) if begun else None
        self.judge(place, newest, now=time.monotonic(), busy=busy)
        return mark

    def recognize(self, run: source_server.Run) -> None:
        """Compare who answers with who did before: the next start finds out what has become of it.

        The engine may still hang on the connection to the former, or have lost it in silence.
        """
        before, self._run = self._run or run, run
        if not run.is_same(before):
            raise SourceUnavailable(
                f"{self.shard.name}: the server was started anew, or another answers there"
                f" (server_id {run.server_id}, was {before.server_id})",
                remedy="nothing to do: capture connects anew",
            )

    def judge(self, place: Place, newest: tuple[str, int], *, now: float, busy: bool) -> None:
        """Compare the engine's place with the server's newest, at a moment (seconds)."""
        ours = (file_number(place.file), place.pos)
        theirs = (file_number(newest[0]), newest[1])
        if ours > theirs:
            raise Renumbered(
                f"{self.shard.name}: the binlog numbering began anew while it was captured"
                f" (now {newest[0]}:{newest[1]}, captured up to {place.file}:{place.pos})",
                remedy=NOTHING_TO_DO,
            )
        if place.offset != self._seen or ours == theirs or busy:
            self._seen, self._since = place.offset, now
        elif now - self._since > STALL_SECONDS:
            raise SourceUnavailable(
                f"{self.shard.name}: {newest[0]}:{newest[1]} is written but nothing after"
                f" {place.file}:{place.pos} came for {STALL_SECONDS:.0f} s",
                remedy="check the network to the server; capture connects anew",
            )
