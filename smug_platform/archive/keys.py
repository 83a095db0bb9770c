"""The accounts' keys: what is personal in the archive can be read with them, and only with them.

Each account has an AES-256 key of its own, which stands in the records, wrapped: encrypted with
one key more. That one is wrapped by KMS and unwrapped once a process; on one machine it stands in a
file that only its owner can read. Destroying an account's record makes what was sealed with it
unreadable wherever copies of it are. The record's place stays taken, so no key is made anew.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smug_platform.archive.records import Records
from smug_platform.errors import ArchiveError

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

NONCE = 12  # bytes: AES-GCM's own
_KEY, _WRAPPING, _DESTROYED = "key", "wrapping", b""
_BYTES = 32


class Wrapping(Protocol):
    """Where the key comes from that wraps the accounts' keys."""

    def key(self) -> bytes:
        """The key itself. Raises ArchiveError."""


class FileWrapping:
    """A file of this machine, made when it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def key(self) -> bytes:
        """As Wrapping."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        if not self._path.exists():
            descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(scratch, self._path)
            except FileExistsError:
                pass  # another process was first, and its key counts
            finally:
                scratch.unlink()
        if self._path.stat().st_mode & 0o077:
            raise ArchiveError(
                f"others can read {self._path}", remedy="see who has, then chmod 600 it"
            )
        return self._path.read_bytes()


class KmsWrapping:
    """A data key of KMS, whose wrapped form stands in the records. client: boto3's KMS."""

    def __init__(self, client: "KMSClient", key_id: str, records: Records) -> None:
        self._client, self._key_id, self._records = client, key_id, records

    def key(self) -> bytes:
        """As Wrapping."""
        context = {"of": "smug archive"}
        try:
            held = self._records.get(_WRAPPING, ["1"]).get("1")
            if held is None:
                made = self._client.generate_data_key(
                    KeyId=self._key_id, KeySpec="AES_256", EncryptionContext=context
                )
                held = self._records.add(_WRAPPING, {"1": made["CiphertextBlob"]})["1"]
            return self._client.decrypt(CiphertextBlob=held, EncryptionContext=context)["Plaintext"]
        except ClientError as error:
            raise ArchiveError(
                f"KMS does not unwrap the archive's keys ({error})",
                remedy=f"see that the key {self._key_id} is there, enabled, and who may use it",
            ) from error


class Keys:
    """The accounts' keys, unwrapped; those that are sealed with are held."""

    def __init__(self, records: Records, wrapping: Wrapping) -> None:
        self._records, self._wrapping = records, wrapping
        self._held: dict[str, AESGCM] = {}

    @cached_property
    def _wrap(self) -> AESGCM:
        return AESGCM(self._wrapping.key())

    def made(self, accounts: Iterable[str]) -> Mapping[str, AESGCM]:
        """The keys of those accounts, made where there are none; destroyed ones are left out."""
        wanted = [account for account in dict.fromkeys(accounts) if account not in self._held]
        if wanted:
            known = self._records.get(_KEY, wanted)
            new = [account for account in wanted if account not in known]
            if new:
                known |= self._records.add(_KEY, {one: self._wrapped(one) for one in new})
            self._held |= self._unwrapped(known)
        return self._held

    def known(self, accounts: Iterable[str]) -> Mapping[str, AESGCM]:
        """The keys of those accounts, as far as they are there; what was held is not trusted.

        Several threads may ask at once.
        """
        return self._unwrapped(self._records.get(_KEY, list(dict.fromkeys(accounts))))

    def destroy(self, account: str) -> bool:
        """Destroy an account's key; whether there was one. None is made for it ever again."""
        self._held.pop(account, None)
        known = self._records.get(_KEY, [account]).get(account)
        self._records.put(_KEY, account, _DESTROYED)
        return bool(known)

    def destroyed(self, accounts: Sequence[str] | None = None) -> list[str]:
        """Those of the accounts whose keys were destroyed; of all accounts unless given."""
        known = self._records.all(_KEY) if accounts is None else self._records.get(_KEY, accounts)
        return [account for account, wrapped in known.items() if wrapped == _DESTROYED]

    def _wrapped(self, account: str) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._wrap.encrypt(nonce, os.urandom(_BYTES), account.encode())

    def _unwrapped(self, wrapped: Mapping[str, bytes]) -> dict[str, AESGCM]:
        found = {}
        for account, text in wrapped.items():
            if text == _DESTROYED:
                continue
            try:
                key = self._wrap.decrypt(text[:NONCE], text[NONCE:], account.encode())
            except InvalidTag:
                raise ArchiveError(
                    f"the key of account {account} can't be unwrapped",
                    remedy="bring back the wrapping key that it was made with",
                ) from None
            found[account] = AESGCM(key)
        return found
