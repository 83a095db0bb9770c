"""With which credentials Kinesis is called."""

import pytest

from smug_platform.settings import load_settings
from smug_platform.stream.client import kinesis_client


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"SMUG_ENV": "local"}, "local"),
        ({"SMUG_ENV": "prod"}, "AKIA0"),
        ({"SMUG_ENV": "prod", "SMUG_KINESIS_ENDPOINT": "https://vpce-1.example"}, "AKIA0"),
    ],
)
def test_only_the_stand_in_gets_made_up_credentials(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], key: str
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = load_settings(environ).stream
    client = kinesis_client(settings)
    signer = client._request_signer  # type: ignore[attr-defined]
    assert signer._credentials.access_key == key
    if settings.endpoint:
        assert client.meta.endpoint_url == settings.endpoint
