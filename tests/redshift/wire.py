"""PostgreSQL's wire protocol 3.0, as far as two sides of a proxy need it.

Source: "Frontend/Backend Protocol" of PostgreSQL's manual.
"""

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

TLS_REQUEST, CANCEL_REQUEST, PROTOCOL_3 = 80877103, 80877102, 196608

# Types by PostgreSQL's OID -> Redshift's: jsonb is SUPER, text VARCHAR, bytea VARBYTE.
_OIDS = {3802: 4000, 25: 1043, 114: 4000, 17: 6551}


class Disconnected(Exception):
    """The other side has gone."""


class Stream:
    """Messages over a socket; what is sent waits until `flush`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reading = connection.makefile("rb")
        self._writing = connection.makefile("wb", buffering=1 << 16)

    def receive(self) -> tuple[bytes, bytes]:
        """A message's type and body."""
        head = self._exactly(5)
        return head[:1], self._exactly(struct.unpack("!i", head[1:])[0] - 4)

    def _exactly(self, size: int) -> bytes:
        try:
            found = self._reading.read(size)
        except OSError:
            found = b""
        if len(found) < size:
            raise Disconnected
        return found

    def send(self, *messages: bytes) -> None:
        try:
            self._writing.write(b"".join(messages))
        except OSError:
            raise Disconnected from None

    def flush(self) -> None:
        try:
            self._writing.flush()
        except OSError:
            raise Disconnected from None

    def cut(self) -> None:
        """End the connection; what waits is not sent."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        for part in (self._writing, self._reading, self._connection):
            try:
                part.close()
            except OSError:
                continue


def startup(connection: socket.socket) -> tuple[int, bytes]:
    """The first packet: its code and what follows."""
    size = struct.unpack("!i", _receive(connection, 4))[0]
    body = _receive(connection, size - 4)
    return struct.unpack("!i", body[:4])[0], body[4:]


def _receive(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise Disconnected
        found += piece
    return found


def packet(code: int, body: bytes) -> bytes:
    return struct.pack("!ii", len(body) + 8, code) + body


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def zero_ended(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


def error(text: str, code: str, detail: str | None = None, severity: str = "ERROR") -> bytes:
    fields = {"S": severity, "C": code, "M": text, **({"D": detail} if detail else {})}
    return message(b"E", zero_ended(*(key + value for key, value in fields.items())) + b"\0")


def notice(text: str) -> bytes:
    return message(b"N", zero_ended("SINFO", "C00000", f"M{text}") + b"\0")


def error_fields(body: bytes) -> dict[str, str]:
    """
    >>> error_fields(error("no", "42601")[5:])["C"]
    '42601'
    """
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def parameters(body: bytes) -> dict[str, str]:
    """The names and values of a startup packet."""
    texts = body.decode().split("\0")
    return {name: value for name, value in zip(texts[::2], texts[1::2], strict=False) if name}


@dataclass(frozen=True)
class Described:
    """A column of a result: its name, and its type as PostgreSQL has it."""

    name: str
    oid: int
    modifier: int


_FIELD = struct.Struct("!ihihih")


def described(body: bytes) -> list[Described]:
    """The columns of a RowDescription."""
    return [Described(name.decode(), fields[2], fields[4]) for name, fields in _fields(body)]


def with_redshift_types(body: bytes) -> bytes:
    """A RowDescription with the OIDs that Redshift's driver knows."""
    found = [body[:2]]
    for name, fields in _fields(body):
        changed = list(fields)
        changed[2] = _OIDS.get(changed[2], changed[2])
        found.append(name + b"\0" + _FIELD.pack(*changed))
    return b"".join(found)


def _fields(body: bytes) -> Iterable[tuple[bytes, tuple[int, ...]]]:
    at = 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        end = body.index(b"\0", at)
        yield body[at:end], _FIELD.unpack_from(body, end + 1)
        at = end + 1 + _FIELD.size


def row(body: bytes) -> list[str | None]:
    """The values of a DataRow in text format."""
    at, found = 2, []
    for _ in range(struct.unpack("!h", body[:2])[0]):
        size = struct.unpack_from("!i", body, at)[0]
        at += 4
        found.append(None if size < 0 else body[at : at + size].decode())
        at += max(size, 0)
    return found
