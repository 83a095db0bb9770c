"""A client's session: what comes over the wire, planned, run or handed on, and answered."""

import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.redshift import wire
from tests.redshift.answers import redshift_error, tag
from tests.redshift.backend import ABORTED, IN_TRANSACTION, Backend, Failed
from tests.redshift.errors import Refused, unsupported
from tests.redshift.expressions import Expressions
from tests.redshift.faults import Faults
from tests.redshift.lexer import quote, statements, text
from tests.redshift.plans import Passed, Plan
from tests.redshift.runs import run
from tests.redshift.statements import plan
from tests.redshift.storage import Storage
from tests.redshift.wire import Stream, message, zero_ended

# What Redshift says of itself at the start of a session.
GREETING = {
    "server_version": "8.0.2",
    "server_protocol_version": "0",
    "server_encoding": "UNICODE",
    "padb_version": "1.0.999999",
    "max_numeric_precision": "38",
    "max_varchar_size": "65535",
    "datashare_enabled": "off",
    "external_database": "off",
}
# The reply that ends each message of the extended protocol.
_ENDS = {b"P": b"1", b"B": b"2", b"C": b"3", b"D": b"Tn", b"E": b"CIs"}
_ADMIN = "rdsdb"


@dataclass(frozen=True)
class Host:
    """What the sessions of a server share."""

    path: Path
    storage: Storage
    faults: Faults


class Session:
    """Raises Disconnected when the client has gone, or a fault has it go."""

    def __init__(self, client: Stream, host: "Host", start: dict[str, str]) -> None:
        self.client = client
        self.storage = host.storage
        self._faults = host.faults
        self._path = host.path
        self._database = start.get("database", start["user"])
        self.backend = Backend(host.path, start["user"], self._database)
        self._expressions = Expressions(self._is_own_function, self._fact)
        self._facts = {"pg_last_copy_id": "-1", "pg_last_copy_count": "0"}
        self._statements: dict[bytes, Plan] = {}
        self._portals: dict[bytes, Plan] = {}
        self._texts: dict[bytes, str] = {}  # by statement and, after a colon, by portal
        self._skipping = False

    # -- what runs.py uses

    @contextmanager
    def beside(self) -> Iterator[Backend]:
        """A second session in the same database, with a transaction of its own."""
        with closing(Backend(self._path, _ADMIN, self._database)) as other:
            yield other

    def next_query(self) -> int:
        """A query's id; it does not go back with a transaction."""
        found = self.backend.ask("select nextval('rs.queries')").rows[0][0]
        self._facts["pg_last_copy_id"] = str(found)
        return int(found or 0)

    def copied(self, query: int, rows: int, table: str) -> None:
        self._facts |= {"pg_last_copy_id": str(query), "pg_last_copy_count": str(rows)}
        done = f"Load into table '{table}' completed, {rows} record(s) loaded successfully."
        self.client.send(wire.notice(done))

    def _fact(self, name: str) -> str | None:
        return f"({self._facts[name]})" if name in self._facts else None

    def _is_own_function(self, name: str) -> bool:
        if self.backend.status == ABORTED:
            return False
        found = self.backend.ask(
            "select 1 from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname"
            f" not in ('pg_catalog', 'information_schema', 'rs') and p.proname = {quote(name)}"
        )
        return bool(found.rows)

    # -- the wire

    def run(self) -> None:
        """Serve the client until it goes."""
        self._greet()
        while True:
            self.client.flush()
            kind, body = self.client.receive()
            if kind == b"X":
                return
            if kind == b"Q":
                self._simple(body[:-1].decode())
            elif kind == b"S":
                self._sync()
            elif kind in _ENDS and not self._skipping:
                self._extended(kind, body)

    def close(self) -> None:
        self.backend.close()

    def _greet(self) -> None:
        for kind, body in self.backend.greeting:
            if kind != b"S" or body.split(b"\0")[0].decode() not in GREETING:
                self.client.send(message(kind, body))
        for name, value in GREETING.items():
            self.client.send(message(b"S", zero_ended(name, value)))
        self._ready()

    def _ready(self) -> None:
        self.client.send(message(b"Z", self.backend.status))

    def _plan(self, sql: str) -> Plan:
        found = statements(sql)
        if len(found) > 1:
            raise Refused("cannot insert multiple commands into a prepared statement", "42601")
        return plan(found[0], self._expressions) if found else Passed("")

    # -- simple protocol

    def _simple(self, sql: str) -> None:
        try:
            found = statements(sql)
            if not found:
                self.client.send(message(b"I"))
            for tokens in found:
                with self._faults.around(text(tokens)):
                    well = self._simple_one(plan(tokens, self._expressions))
                if not well:
                    break
        except (Refused, Failed) as fault:
            self._fail(fault)
        self._ready()

    def _simple_one(self, found: Plan) -> bool:
        """Whether it went well."""
        if not isinstance(found, Passed):
            self.client.send(message(b"C", zero_ended(self._run(found))))
            return True
        self.backend.send(message(b"Q", zero_ended(found.sql)))
        well = True
        while True:
            kind, body = self.backend.receive()
            if kind == b"Z":
                return well
            well = self._relay(kind, body) and well

    # -- extended protocol

    def _extended(self, kind: bytes, body: bytes) -> None:
        try:
            with self._faults.around(self._text_run(kind, body)):
                if not self._own(kind, body):
                    self._hand_on(kind, body)
        except (Refused, Failed) as fault:
            self._fail(fault)
            self._skipping = True

    def _text_run(self, kind: bytes, body: bytes) -> str:
        """The statement that this message runs, or nothing."""
        if kind == b"P":
            name, sql = body.split(b"\0")[:2]
            self._texts[name] = sql.decode()
        elif kind == b"B":
            portal, name = body.split(b"\0")[:2]
            self._texts[b":" + portal] = self._texts.get(name, "")
        return self._texts.get(b":" + body.split(b"\0")[0], "") if kind == b"E" else ""

    def _own(self, kind: bytes, body: bytes) -> bool:
        """Answer a message about a plan that is run here; whether it was one."""
        if kind == b"P":
            return self._parse(body)
        if kind == b"B":
            return self._bind(body)
        if kind == b"E":
            return self._execute(body.split(b"\0")[0])
        of, name = body[:1], body[1:-1]
        held = self._statements if of == b"S" else self._portals
        if name not in held:
            return False
        if kind == b"C":
            del held[name]
            self.client.send(message(b"3"))
            return True
        self.client.send(*([message(b"t", b"\0\0")] if of == b"S" else []), message(b"n"))
        return True

    def _parse(self, body: bytes) -> bool:
        name, rest = body.split(b"\0", 1)
        sql, kinds = rest.split(b"\0", 1)
        found = self._plan(sql.decode())
        self._statements.pop(name, None)
        if isinstance(found, Passed):
            self._hand_on(b"P", name + b"\0" + zero_ended(found.sql) + kinds)
            return True
        if struct.unpack("!h", kinds[:2])[0]:
            raise unsupported("a parameter in this statement")
        self._statements[name] = found
        self.client.send(message(b"1"))
        return True

    def _bind(self, body: bytes) -> bool:
        portal, name = body.split(b"\0")[:2]
        self._portals.pop(portal, None)
        if name not in self._statements:
            return False
        self._portals[portal] = self._statements[name]
        self.client.send(message(b"2"))
        return True

    def _execute(self, portal: bytes) -> bool:
        if portal not in self._portals:
            return False
        self.client.send(message(b"C", zero_ended(self._run(self._portals[portal]))))
        return True

    def _run(self, found: Plan) -> str:
        if self.backend.status == ABORTED:
            raise Refused(
                "current transaction is aborted, commands ignored until end of transaction block",
                "25P02",
            )
        return run(found, self)

    def _hand_on(self, kind: bytes, body: bytes) -> None:
        self.backend.send(message(kind, body), message(b"H"))
        while True:
            answer, content = self.backend.receive()
            if not self._relay(answer, content):
                self._skipping = True
                return
            if answer in _ENDS[kind]:
                return

    def _sync(self) -> None:
        if self._skipping and self.backend.status == IN_TRANSACTION:
            self._end_batch()
            if self.backend.status == IN_TRANSACTION:
                self.backend.abort()
        else:
            self._end_batch()
        self._skipping = False
        self._ready()

    def _end_batch(self) -> None:
        self.backend.send(message(b"S"))
        while True:
            kind, body = self.backend.receive()
            if kind == b"Z":
                return
            self._relay(kind, body)

    # -- answers

    def _relay(self, kind: bytes, body: bytes) -> bool:
        """Send on what PostgreSQL says, in Redshift's words; whether it is no error."""
        if kind == b"E":
            self._fail(Failed(body))
        elif kind == b"T":
            self.client.send(message(kind, wire.with_redshift_types(body)))
        elif kind == b"C":
            self.client.send(message(kind, tag(body)))
        elif kind == b"G":
            self.backend.send(message(b"f", b"no\0"))
            self._fail(unsupported("COPY ... FROM STDIN"))
        elif kind != b"S" or body.split(b"\0")[0].decode() not in GREETING:
            self.client.send(message(kind, body))
        return kind not in b"EG"

    def _fail(self, fault: Refused | Failed) -> None:
        if isinstance(fault, Failed):
            self.client.send(redshift_error(fault))
            return
        self.client.send(wire.error(fault.message, fault.code, fault.detail))
        if not self._skipping and self.backend.status == IN_TRANSACTION:
            self.backend.abort()
