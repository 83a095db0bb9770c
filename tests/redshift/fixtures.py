"""Fixtures: a stand-in once a session, a fresh database a test, a bucket to COPY from."""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
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


@pytest.fixture(scope="session")
def _server(
    kinesis: StreamSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Path]]:
    """The stand-in, with moto's S3 to COPY from, and the certificate to trust."""
    tls, trusted = loopback(tmp_path_factory.mktemp("redshift"))
    users = {_USER: _PASSWORD}
    postgres = Postgres()
    try:
        server = Server(postgres.socket, users=users, s3_endpoint=kinesis.endpoint, tls=tls)
        try:
            yield server, trusted
        finally:
            server.stop()
    finally:
        postgres.stop()


@pytest.fixture(scope="session")
def redshift_server(request: pytest.FixtureRequest) -> Redshift:
    """The database `dev` of the stand-in, or what SMUG_TEST_REDSHIFT_DSN names."""
    if REAL:
        return Redshift.at(REAL)
    server: Server = request.getfixturevalue("_server")[0]
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
def faults(stand_in: Redshift, _server: tuple[Server, Path]) -> Iterator[Faults]:
    """Failures of the stand-in; each that a test asks for has to happen."""
    assert stand_in.emulated
    faults = _server[0].faults
    yield faults
    assert faults.clear() == 0


@pytest.fixture
def aws(
    stand_in: Redshift,
    _server: tuple[Server, Path],
    kinesis: StreamSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    """The environment in which GetClusterCredentials gives a password for the stand-in.

    It is set for this process too. The cluster is `redshift.cluster`; a client must verify TLS.
    """
    environ = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_REDSHIFT": str(kinesis.endpoint),
        "AWS_ENDPOINT_URL_S3": str(kinesis.endpoint),
        "SSL_CERT_FILE": str(_server[1]),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with closing(boto3.session.Session().client("redshift")) as client:
        if not client.describe_clusters()["Clusters"]:
            client.create_cluster(
                ClusterIdentifier=_CLUSTER,
                NodeType="ra3.large",
                MasterUsername=stand_in.user,
                MasterUserPassword=_PASSWORD,
            )
    return environ


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
