"""How a source's server is entered: the credentials of the moment, and what its TLS is held to.

A password that is rotated stands somewhere else than in this process's environment: in a file that
is replaced, or in a secret of AWS. A connection asks for it as it begins, and once more where the
server refuses what was known.
"""

import ssl
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import boto3
import orjson
import pymysql
from botocore.exceptions import BotoCoreError, ClientError
from pymysql.constants import CR
from pymysql.cursors import DictCursor

from smug_platform.capture.failures import Refused, SourceUnavailable
from smug_platform.settings import Shard
from smug_platform.settings_capture import Access

_ACCESS_DENIED = (1044, 1045, 1698)
_lock = threading.Lock()
_secrets: dict[str, tuple[str | None, str]] = {}


def admitted(shard: Shard, *, anew: bool = False) -> Shard:
    """The shard with the user and the password of the moment.

    anew: ask for a secret again that is known already. Raises Refused.
    """
    access = shard.access
    if access.password_file is not None:
        try:
            return replace(shard, password=access.password_file.read_text().rstrip("\r\n"))
        except (OSError, ValueError) as error:
            raise Refused(
                f"{shard.name}: the password's file {access.password_file} can't be read",
                remedy="see that SMUG_MYSQL_PASSWORD_FILE names a file that this user may read",
            ) from error
    if not access.secret:
        return shard
    with _lock:
        if anew or access.secret not in _secrets:
            _secrets[access.secret] = _read_secret(shard, access)
        user, password = _secrets[access.secret]
    return replace(shard, user=user or shard.user, password=password)


def _read_secret(shard: Shard, access: Access) -> tuple[str | None, str]:
    """User and password of a secret: JSON as RDS writes it, or the password alone."""
    client = boto3.client("secretsmanager", region_name=access.region)
    try:
        text = client.get_secret_value(SecretId=access.secret)["SecretString"]
    except (ClientError, BotoCoreError, KeyError) as error:
        raise Refused(
            f"{shard.name}: the secret {access.secret!r} can't be read ({error})",
            remedy="allow secretsmanager:GetSecretValue on it, and see that it holds a text",
        ) from error
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, text
    if not isinstance(found, dict):
        return None, text
    if not isinstance(found.get("password"), str):
        raise Refused(
            f"{shard.name}: the secret {access.secret!r} has no password",
            remedy='let it be {"username": ..., "password": ...}, or the password alone',
        )
    return found.get("username"), found["password"]


def context_of(shard: Shard) -> ssl.SSLContext | None:
    """What TLS is held to, read as it stands; None where the connection need not be encrypted.

    Raises Refused where the certificates can't be read.
    """
    access = shard.access
    if access.ssl_mode in {"disabled", "preferred"}:
        return None
    try:
        context = ssl.create_default_context(cafile=access.ssl_ca)
    except OSError as error:
        raise Refused(
            f"{shard.name}: the certificates of {access.ssl_ca} can't be read ({error})",
            remedy="let SMUG_MYSQL_SSL_CA name a PEM file of those that are trusted",
        ) from error
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # authorities of databases seldom keep to it
    context.check_hostname = access.ssl_mode == "verify_identity"
    if access.ssl_mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return context


def enter(shard: Shard, where: str, **options: Any) -> "pymysql.connections.Connection[DictCursor]":
    """Open a connection; once more where the password was changed meanwhile.

    where: the shard, for people. options: of pymysql, where they are to be others. Raises Refused
    and SourceUnavailable.
    """
    known = admitted(shard)
    try:
        try:
            return _open(known, options)
        except pymysql.err.OperationalError as error:
            if error.args[0] not in _ACCESS_DENIED or (now := admitted(shard, anew=True)) == known:
                raise
            return _open(now, options)
    except pymysql.err.OperationalError as error:
        raise _kept_out(known, where, error) from None


def _open(shard: Shard, options: Mapping[str, Any]) -> "pymysql.connections.Connection[DictCursor]":
    usual: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 30, "cursorclass": DictCursor}
    return pymysql.connect(
        host=shard.host,
        port=shard.port,
        user=shard.user,
        password=shard.password,
        charset="utf8mb4",
        autocommit=True,
        ssl=context_of(shard),
        ssl_disabled=shard.access.ssl_mode == "disabled",
        **{**usual, **options},
    )


def _kept_out(shard: Shard, where: str, error: pymysql.err.OperationalError) -> SourceUnavailable:
    """Why a connection can't be opened."""
    cause = getattr(error, "original_exception", None)
    if error.args[0] in _ACCESS_DENIED:
        return Refused(
            f"{where} refuses user {shard.user!r}",
            remedy="check the user, and where its password stands: SMUG_MYSQL_PASSWORD,"
            " SMUG_MYSQL_PASSWORD_FILE or SMUG_MYSQL_SECRET",
        )
    if isinstance(cause, ssl.SSLError) or error.args[0] == CR.CR_SSL_CONNECTION_ERROR:
        return Refused(
            f"{where} is not trusted with SMUG_MYSQL_SSL_MODE {shard.access.ssl_mode}"
            f" ({cause or error.args[-1]})",
            remedy="let SMUG_MYSQL_SSL_CA hold the authority that signed its certificate",
        )
    return SourceUnavailable(
        f"{where} can't be reached", remedy="start it (locally: smug up), or check its address"
    )
