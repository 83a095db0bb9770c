"""A session of PostgreSQL's behind a session of Redshift's."""

import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.redshift import wire
from tests.redshift.wire import Stream, message, zero_ended

# A literal's backslash escapes, as in Redshift; floats in 15 or 6 digits.
_OPTIONS = {
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "backslash_quote": "on",
    "client_min_messages": "warning",
    "extra_float_digits": "0",
    "jit": "off",
}
IN_TRANSACTION, IDLE, ABORTED = b"T", b"I", b"E"


class Failed(Exception):
    """An error of PostgreSQL's, as its message has it."""

    def __init__(self, body: bytes) -> None:
        super().__init__(wire.error_fields(body).get("M"))
        self.body = body
        self.fields = wire.error_fields(body)


@dataclass
class Answer:
    rows: list[list[str | None]] = field(default_factory=list)
    columns: list[wire.Described] = field(default_factory=list)


class Backend:
    """Raises Failed where PostgreSQL does not let the user in."""

    def __init__(self, path: Path, user: str, database: str) -> None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            self.stream = Stream(connection)
        except OSError:
            connection.close()
            raise
        self.status = IDLE
        options = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
        start = zero_ended(
            "user", user, "database", database, "client_encoding", "UTF8", "options", options, ""
        )
        self.stream.send(wire.packet(wire.PROTOCOL_3, start))
        self.greeting: list[tuple[bytes, bytes]] = []
        try:
            self._greeted()
        except Failed:
            self.close()
            raise

    def _greeted(self) -> None:
        self.stream.flush()
        while True:
            kind, body = self.stream.receive()
            if kind == b"E":
                raise Failed(body)
            if kind == b"Z":
                return
            self.greeting.append((kind, body))

    @property
    def process(self) -> int:
        """The server process's id, which pg_backend_pid() says."""
        key = next(body for kind, body in self.greeting if kind == b"K")
        return int(struct.unpack("!i", key[:4])[0])

    def close(self) -> None:
        self.stream.close()

    def send(self, *messages: bytes) -> None:
        self.stream.send(*messages)
        self.stream.flush()

    def receive(self) -> tuple[bytes, bytes]:
        kind, body = self.stream.receive()
        if kind == b"Z":
            self.status = body
        return kind, body

    def ask(self, sql: str) -> Answer:
        """Run SQL by the simple protocol, to the end. Raises Failed."""
        self.send(message(b"Q", zero_ended(sql)))
        return self._answer(lambda: None)

    def describe(self, sql: str) -> list[wire.Described]:
        """The columns that a query would have."""
        self.send(
            message(b"P", zero_ended("", sql) + b"\0\0"), message(b"D", b"S\0"), message(b"S")
        )
        return self._answer(lambda: None).columns

    def load(self, sql: str, pieces: Iterable[bytes]) -> Answer:
        """COPY ... FROM STDIN."""

        def feed() -> None:
            for piece in pieces:
                for start in range(0, len(piece), 1 << 20):
                    self.stream.send(message(b"d", piece[start : start + (1 << 20)]))
            self.send(message(b"c"))

        self.send(message(b"Q", zero_ended(sql)))
        return self._answer(feed)

    def _answer(self, feed: Callable[[], None]) -> Answer:
        answer, failure = Answer(), None
        while True:
            kind, body = self.receive()
            if kind == b"Z":
                if failure:
                    raise failure
                return answer
            if kind == b"T":
                answer.columns = wire.described(body)
            elif kind == b"D":
                answer.rows.append(wire.row(body))
            elif kind == b"G":
                feed()
            elif kind == b"E":
                failure = Failed(body)

    def abort(self) -> None:
        """Fail the open transaction, as an error of the server's own would."""
        try:
            self.ask("select 1/0")
        except Failed:
            return
