"""The stand-in's listener: a thread a session, as many as come."""

import hashlib
import secrets
import socket
import ssl
import struct
import threading
from pathlib import Path

from tests.redshift import wire
from tests.redshift.backend import Failed
from tests.redshift.faults import Faults
from tests.redshift.session import Host, Session
from tests.redshift.storage import Storage
from tests.redshift.wire import Disconnected, Stream, message

_IAM = ("IAM:", "IAMA:")  # of users whose password is of GetClusterCredentials


class Server:
    """Serves Redshift's protocol on loopback, with PostgreSQL at `path` behind it.

    users: their passwords. tls: what to answer a client with that asks for it.
    """

    def __init__(
        self,
        path: Path,
        *,
        users: dict[str, str],
        s3_endpoint: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._users = users
        self._tls = tls
        self.faults = Faults()
        self._host = Host(path, Storage(s3_endpoint), self.faults)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="redshift", daemon=True)
        self._accepting.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._listener.close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(10)
        self._host.storage.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        served = connection
        try:
            served, start = self._begin(connection)
            if start is not None:
                self._session(served, start)
        except (Disconnected, OSError):
            pass  # the client's right
        finally:
            self._open.discard(connection)
            for one in {served, connection}:
                one.close()

    def _begin(self, connection: socket.socket) -> tuple[socket.socket, dict[str, str] | None]:
        """TLS if asked for; returns the startup parameters, or nothing of a CancelRequest."""
        while True:
            code, body = wire.startup(connection)
            if code == wire.CANCEL_REQUEST:
                self._cancel(body)
                return connection, None
            if code != wire.TLS_REQUEST:
                return connection, wire.parameters(body)
            connection.sendall(b"S" if self._tls else b"N")
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)

    def _cancel(self, key: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(self._host.path))
            other.sendall(wire.packet(wire.CANCEL_REQUEST, key))
            other.recv(1)  # until PostgreSQL has done it

    def _session(self, connection: socket.socket, start: dict[str, str]) -> None:
        client = Stream(connection)
        try:
            if not self._admit(client, start["user"]):
                return
            user = start["user"]
            for prefix in _IAM:
                user = user.removeprefix(prefix)
            try:
                session = Session(client, self._host, {**start, "user": user})
            except Failed as fault:
                client.send(message(b"E", fault.body))
                client.flush()
                return
            try:
                session.run()
            except Disconnected:
                client.cut()
            finally:
                session.close()
        finally:
            client.close()

    def _admit(self, client: Stream, user: str) -> bool:
        """Ask for the password, hashed; one of GetClusterCredentials is not looked up."""
        salt = secrets.token_bytes(4)
        client.send(message(b"R", struct.pack("!i", 5) + salt))
        client.flush()
        _, body = client.receive()
        if user.startswith(_IAM) or body[:-1] == self._hashed(user, salt):
            return True
        text = f'password authentication failed for user "{user}"'
        client.send(wire.error(text, "28000", severity="FATAL"))
        client.flush()
        return False

    def _hashed(self, user: str, salt: bytes) -> bytes:
        password = self._users.get(user)
        if password is None:
            return secrets.token_bytes(16)
        inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
        outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
        return b"md5" + outer.encode()
