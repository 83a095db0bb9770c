"""The archive on S3: a storage class of its own, and Object Lock, which holds even against us.

What a lock forbids is to remove or change a *version*; a removal without one, as here, hides the
object, and `smug archive verify` finds it missing. So the bucket keeps versions.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from smug_platform.archive.store import DELTAS, Exists, Kept, locked
from smug_platform.aws import code
from smug_platform.errors import ArchiveError
from smug_platform.settings_archive import ArchiveSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects have to be restored before they are read."""
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class S3Store:
    """A bucket and a prefix in it. client: boto3's S3."""

    def __init__(self, client: "S3Client", settings: ArchiveSettings) -> None:
        parts = urlsplit(settings.uri)
        self._client, self._settings = client, settings
        self.bucket, self._prefix = parts.netloc, parts.path.strip("/")

    def write(self, name: str, data: bytes, sha256: bytes) -> None:
        """As Store: S3 itself checks the hash."""
        self._put(
            name, data,
            ChecksumSHA256=base64.b64encode(sha256).decode(),
            StorageClass=self._settings.storage_class,
        )  # fmt: skip

    def create(self, name: str, data: bytes) -> None:
        """As Store."""
        try:
            self._put(name, data, IfNoneMatch="*")
        except ArchiveError as error:
            if isinstance(error.__cause__, ClientError) and code(error.__cause__) in _EXISTS:
                raise Exists(name) from None
            raise

    def read(self, name: str) -> bytes | None:
        """As Store."""
        try:
            return self._client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read()
        except ClientError as error:
            if code(error) in _MISSING:
                return None
            raise _refused(f"read {name}", error) from error
        except BotoCoreError as error:
            raise _refused(f"read {name}", error) from error

    def names(self, prefix: str) -> Iterator[str]:
        """As Store."""
        pages = self._client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._key(prefix) + "/"):
                for found in page.get("Contents", []):
                    yield found["Key"].removeprefix(f"{self._prefix}/")
        except (ClientError, BotoCoreError) as error:
            raise _refused(f"list {prefix}", error) from error

    def remove(self, name: str) -> None:
        """As Store: where a lock holds, nothing is hidden either."""
        try:
            head = self._client.head_object(Bucket=self.bucket, Key=self._key(name))
            until = head.get("ObjectLockRetainUntilDate")
            if until is not None and until > datetime.now(UTC):
                raise locked(name, until)
            self._client.delete_object(Bucket=self.bucket, Key=self._key(name))
        except ClientError as error:
            if code(error) not in _MISSING:
                raise _refused(f"remove {name}", error) from error

    def discard(self, name: str) -> None:
        """As Store: a removal without a version puts a mark over it."""
        try:
            self._client.delete_object(Bucket=self.bucket, Key=self._key(name))
        except ClientError as error:
            raise _refused(f"hide {name}", error) from error

    def state(self, name: str) -> Kept | None:
        """As Store."""
        try:
            head = self._client.head_object(Bucket=self.bucket, Key=self._key(name))
        except ClientError as error:
            if code(error) in _MISSING:
                return None
            raise _refused(f"look at {name}", error) from error
        restore = head.get("Restore", "")
        return Kept(
            head["ContentLength"],
            cold=head.get("StorageClass") in COLD and 'ongoing-request="false"' not in restore,
            restoring='ongoing-request="true"' in restore,
        )

    def restore(self, name: str, days: int, tier: Any) -> None:
        """As Store."""
        try:
            self._client.restore_object(
                Bucket=self.bucket,
                Key=self._key(name),
                RestoreRequest={"Days": days, "GlacierJobParameters": {"Tier": tier}},
            )
        except ClientError as error:
            if code(error) != "RestoreAlreadyInProgress":
                raise _refused(f"restore {name}", error) from error

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _put(self, name: str, data: bytes, **more: Any) -> None:
        if self._settings.retention_days:
            until = datetime.now(UTC) + timedelta(days=self._settings.retention_days)
            more |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        more["ChecksumAlgorithm"] = "SHA256"  # a lock asks for one
        try:
            self._client.put_object(Bucket=self.bucket, Key=self._key(name), Body=data, **more)
        except (ClientError, BotoCoreError) as error:
            raise _refused(f"write {name}", error) from error


def aws_client(service: Any, settings: ArchiveSettings) -> Any:
    """A client of that service, at the archive's endpoint."""
    return boto3.client(service, region_name=settings.region, endpoint_url=settings.endpoint)


def lifecycle_rules(settings: ArchiveSettings) -> list[dict[str, Any]]:
    """What S3 does by itself: old objects go where that is set, and what was left half done.

    Manifests stay for good: they are what shows that an object was there and went on its day.
    """
    prefix = urlsplit(settings.uri).path.strip("/")
    below = f"{prefix}/{DELTAS}/" if prefix else f"{DELTAS}/"
    rules: list[dict[str, Any]] = [
        {
            "ID": "half-written",
            "Filter": {"Prefix": ""},
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
        }
    ]
    if settings.expire_days:
        rules.append(
            {
                "ID": "expired",
                "Filter": {"Prefix": below},
                "Status": "Enabled",
                "Expiration": {"Days": settings.expire_days},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
            }
        )
    return rules


def prepare_bucket(client: "S3Client", settings: ArchiveSettings) -> str:
    """Make the bucket, with Object Lock, and give it its rules; its name. Raises ArchiveError."""
    bucket = urlsplit(settings.uri).netloc
    place: Any = {}
    if settings.region != "us-east-1":
        place = {"CreateBucketConfiguration": {"LocationConstraint": settings.region}}
    try:
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True, **place)
    except ClientError as error:
        if code(error) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise _refused(f"make bucket {bucket}", error) from error
    try:
        client.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={"Rules": lifecycle_rules(settings)},  # type: ignore[typeddict-item]
        )
        client.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration=dict.fromkeys(
                (
                    "BlockPublicAcls",
                    "IgnorePublicAcls",
                    "BlockPublicPolicy",
                    "RestrictPublicBuckets",
                ),
                True,
            ),  # type: ignore[arg-type]
        )
    except ClientError as error:
        raise _refused(f"set the rules of bucket {bucket}", error) from error
    return bucket


def _refused(what: str, error: Exception) -> ArchiveError:
    return ArchiveError(
        f"S3 does not {what} ({error})",
        remedy="see that the archive's bucket is there (smug archive prepare) and who may use it",
        passes=isinstance(error, BotoCoreError),
    )
