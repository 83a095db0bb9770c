"""Temporary credentials and TLS, as in production."""

import pytest
import redshift_connector

from tests.redshift.connection import Redshift


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_tls(stand_in: Redshift, aws: dict[str, str], sslmode: str) -> None:
    assert aws
    with stand_in.connect(ssl=True, sslmode=sslmode) as connection:
        assert connection.cursor().execute("select 1").fetchone() == [1]


def test_get_cluster_credentials(stand_in: Redshift, aws: dict[str, str]) -> None:
    connection = redshift_connector.connect(
        iam=True,
        host=stand_in.host,
        port=stand_in.port,
        database=stand_in.database,
        db_user=stand_in.user,
        cluster_identifier=stand_in.cluster,
        region=aws["AWS_REGION"],
        sslmode="verify-full",
    )
    with connection:
        assert connection.cursor().execute("select current_user").fetchone() == [stand_in.user]
