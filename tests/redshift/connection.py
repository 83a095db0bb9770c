"""A database to test with, be it the stand-in's or a real workgroup's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redshift_connector


@dataclass(frozen=True)
class Redshift:
    """Where to connect and as whom. role: what COPY names as IAM_ROLE."""

    host: str
    port: int
    user: str
    password: str
    database: str
    emulated: bool
    role: str
    ssl: bool = False
    cluster: str | None = None

    @classmethod
    def at(cls, dsn: str) -> Redshift:
        """
        >>> Redshift.at("redshift://ann:x%40y@wg.example/dev?role=arn:aws:iam::1:role/r").password
        'x@y'
        """
        parts = urlsplit(dsn)
        options = parse_qs(parts.query)
        return cls(
            host=parts.hostname or "",
            port=parts.port or 5439,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=parts.path.strip("/") or "dev",
            emulated=False,
            role=options.get("role", ["default"])[0],
            ssl=options.get("sslmode") != ["disable"],
        )

    def connect(self, *, autocommit: bool = True, **other: Any) -> redshift_connector.Connection:
        """A connection by the real driver."""
        connection = redshift_connector.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=self.database,
            **{"ssl": self.ssl, **other},
        )
        connection.autocommit = autocommit
        return connection

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of one statement, on a connection of its own."""
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def create(self, isolation: str = "snapshot") -> Redshift:
        """A new database."""
        name = f"smug_test_{secrets.token_hex(6)}"
        self.ask(f"create database {name} isolation level {isolation}")
        return replace(self, database=name)

    @contextmanager
    def fresh(self, isolation: str = "snapshot") -> Iterator[Redshift]:
        """A new database, dropped at the end."""
        database = self.create(isolation)
        try:
            yield database
        finally:
            self.ask(f"drop database {database.database}")
