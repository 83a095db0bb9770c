"""Fixtures: a stand-in once a session, a fresh database a test, a bucket to COPY from."""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from smug_platform.settings import StreamSettings
from tests.redshift.connection import Redshift
from tests.redshift.postgres import Postgres
from tests.redshift.server import Server

_USER, _PASSWORD = "awsuser", "Stand-in-1"
_ROLE = "arn:aws:iam::123456789012:role/smug-load"
REAL = os.environ.get("SMUG_TEST_REDSHIFT_DSN")


@dataclass(frozen=True)
class Bucket:
    """A place in S3. endpoint: of a local one; keys: what to sign with there."""

    name: str
    prefix: str
    endpoint: str | None
    client: Any

    @property
    def url(self) -> str:
        return f"s3://{self.name}/{self.prefix}"

    def put(self, name: str, body: bytes) -> str:
        """Store an object; returns its URL."""
        self.client.put_object(Bucket=self.name, Key=f"{self.prefix}{name}", Body=body)
        return f"{self.url}{name}"


@pytest.fixture(scope="session")
def redshift_server(request: pytest.FixtureRequest) -> Iterator[Redshift]:
    """The database `dev` of the stand-in, or what SMUG_TEST_REDSHIFT_DSN names."""
    if REAL:
        yield Redshift.at(REAL)
        return
    stream: StreamSettings = request.getfixturevalue("kinesis")  # moto, which serves S3 beside it
    postgres = Postgres()
    try:
        server = Server(postgres.socket, users={_USER: _PASSWORD}, s3_endpoint=stream.endpoint)
        try:
            yield Redshift(
                "127.0.0.1", server.port, _USER, _PASSWORD, "dev", emulated=True, role=_ROLE
            )
        finally:
            server.stop()
    finally:
        postgres.stop()


@pytest.fixture
def redshift(redshift_server: Redshift) -> Iterator[Redshift]:
    """A fresh database."""
    with redshift_server.fresh() as database:
        yield database


@pytest.fixture(scope="module")
def redshift_module(redshift_server: Redshift) -> Iterator[Redshift]:
    """A database that a module's tests share."""
    with redshift_server.fresh() as database:
        yield database


@pytest.fixture
def stand_in(redshift: Redshift) -> Redshift:
    """A fresh database of the stand-in, for tests of what it alone does."""
    if not redshift.emulated:
        pytest.skip("is about the stand-in, and SMUG_TEST_REDSHIFT_DSN names a real workgroup")
    return redshift


@pytest.fixture(scope="session")
def _s3(request: pytest.FixtureRequest) -> Iterator[tuple[Any, str | None]]:
    if REAL:
        with closing(boto3.client("s3")) as client:
            yield client, None
        return
    stream: StreamSettings = request.getfixturevalue("kinesis")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    with closing(boto3.client("s3", "us-east-1", endpoint_url=stream.endpoint, **keys)) as client:
        yield client, stream.endpoint


@pytest.fixture
def bucket(_s3: tuple[Any, str | None]) -> Bucket:
    """An empty prefix in a bucket that COPY reads; SMUG_TEST_REDSHIFT_BUCKET names a real one."""
    client, endpoint = _s3
    name = os.environ.get("SMUG_TEST_REDSHIFT_BUCKET", "smug-test-redshift")
    if endpoint:
        client.create_bucket(Bucket=name)
    return Bucket(name, f"{secrets.token_hex(6)}/", endpoint, client)
