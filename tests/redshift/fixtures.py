"""Fixtures: a stand-in once a session, a fresh database a test, a bucket to COPY from."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from smug_platform.settings import StreamSettings
from tests.redshift.certificates import loopback
from tests.redshift.connection import Redshift
from tests.redshift.faults import Faults
from tests.redshift.postgres import Postgres
from tests.redshift.server import Server

_USER, _PASSWORD = "awsuser", "Stand-in-1"
_CLUSTER = "smug-test"
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


@dataclass(frozen=True)
class _StandIn:
    postgres: Postgres
    server: Server
    trusted: Path
    aws: str
    databases: list[Redshift] = field(default_factory=list)


@pytest.fixture(scope="session")
def _stand_in(
    kinesis: StreamSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_StandIn]:
    """The stand-in, with moto's S3 to COPY from."""
    tls, trusted = loopback(tmp_path_factory.mktemp("redshift"))
    users = {_USER: _PASSWORD}
    postgres = Postgres()
    try:
        server = Server(postgres.socket, users=users, s3_endpoint=kinesis.endpoint, tls=tls)
        try:
            yield _StandIn(postgres, server, trusted, kinesis.endpoint or "")
        finally:
            server.stop()
    finally:
        postgres.stop()


@pytest.fixture(scope="session")
def redshift_server(request: pytest.FixtureRequest) -> Redshift:
    """The database `dev` of the stand-in, or what SMUG_TEST_REDSHIFT_DSN names."""
    if REAL:
        return Redshift.at(REAL)
    server = request.getfixturevalue("_stand_in").server
    return Redshift(
        "127.0.0.1",
        server.port,
        _USER,
        _PASSWORD,
        "dev",
        emulated=True,
        role=_ROLE,
        cluster=_CLUSTER,
    )


@pytest.fixture
def faults(stand_in: Redshift, _stand_in: _StandIn) -> Iterator[Faults]:
    """Failures of the stand-in; each that a test asks for has to happen."""
    assert stand_in.emulated
    yield _stand_in.server.faults
    assert _stand_in.server.faults.clear() == 0


@pytest.fixture
def aws(stand_in: Redshift, _stand_in: _StandIn, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment in which GetClusterCredentials gives a password for the stand-in.

    It is set for this process too. The cluster is `redshift.cluster`; a client must verify TLS.
    """
    return _sign_in(stand_in, _stand_in, monkeypatch)


def _sign_in(
    redshift: Redshift, _stand_in: _StandIn, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    environ = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_REDSHIFT": _stand_in.aws,
        "AWS_ENDPOINT_URL_S3": _stand_in.aws,
        "SSL_CERT_FILE": str(_stand_in.trusted),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with closing(boto3.session.Session().client("redshift")) as client:
        if not client.describe_clusters()["Clusters"]:
            client.create_cluster(
                ClusterIdentifier=_CLUSTER,
                NodeType="ra3.large",
                MasterUsername=redshift.user,
                MasterUserPassword=_PASSWORD,
            )
    return environ


@pytest.fixture(scope="session")
def signed_in(
    request: pytest.FixtureRequest, redshift_server: Redshift
) -> Callable[[pytest.MonkeyPatch], dict[str, str]]:
    """What `aws` does, for fixtures of a wider scope: with a monkeypatch of theirs."""
    if not redshift_server.emulated:
        pytest.skip("is about the stand-in, and SMUG_TEST_REDSHIFT_DSN names a real workgroup")
    stand_in: _StandIn = request.getfixturevalue("_stand_in")
    return lambda monkeypatch: _sign_in(redshift_server, stand_in, monkeypatch)


@pytest.fixture
def redshift(redshift_server: Redshift, request: pytest.FixtureRequest) -> Iterator[Redshift]:
    """A database with nothing in it. The stand-in's is emptied for the next test, not dropped."""
    if not redshift_server.emulated:
        with redshift_server.fresh() as database:
            yield database
        return
    stand_in: _StandIn = request.getfixturevalue("_stand_in")
    free = stand_in.databases
    database = free.pop() if free else redshift_server.create()
    yield database
    stand_in.postgres.reset(database.database)
    free.append(database)


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


@pytest.fixture(scope="session")
def bucket_of_session(_s3: tuple[Any, str | None]) -> Bucket:
    """As `bucket`, for fixtures of a wider scope."""
    return _bucket(*_s3)


@pytest.fixture
def bucket(_s3: tuple[Any, str | None]) -> Bucket:
    """An empty prefix in a bucket that COPY reads; SMUG_TEST_REDSHIFT_BUCKET names a real one."""
    return _bucket(*_s3)


def _bucket(client: Any, endpoint: str | None) -> Bucket:
    name = os.environ.get("SMUG_TEST_REDSHIFT_BUCKET", "smug-test-redshift")
    if endpoint:
        client.create_bucket(Bucket=name)
    return Bucket(name, f"{secrets.token_hex(6)}/", endpoint, client)
