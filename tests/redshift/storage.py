"""What COPY finds in S3: by prefix or by manifest."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.redshift.errors import Refused
from tests.redshift.plans import Copy

_COLUMNAR = {"parquet"}


@dataclass(frozen=True)
class File:
    url: str
    body: bytes


class Storage:
    """S3 at an endpoint; any key is good there."""

    def __init__(self, endpoint: str | None) -> None:
        self._endpoint = endpoint

    @cached_property
    def _client(self) -> Any:
        if self._endpoint is None:
            raise Refused("this stand-in was started without an S3 endpoint [limit]", "XX000")
        return boto3.session.Session().client(
            "s3",
            "us-east-1",
            endpoint_url=self._endpoint,
            aws_access_key_id="stand-in",
            aws_secret_access_key="stand-in",
            config=Config(retries={"max_attempts": 1}, max_pool_connections=32),
        )

    def close(self) -> None:
        if "_client" in self.__dict__:
            self._client.close()

    def files(self, copy: Copy) -> list[File]:
        """The files to load, in order. Raises Refused: none there, a manifest that is wrong."""
        try:
            if copy.options.get("manifest"):
                return self._listed(copy)
            bucket, prefix = _split(copy.url)
            pages = self._client.get_paginator("list_objects_v2")
            found = [
                f"s3://{bucket}/{one['Key']}"
                for page in pages.paginate(Bucket=bucket, Prefix=prefix)
                for one in page.get("Contents", [])
                if not one["Key"].rpartition("/")[2].startswith(("_", "."))
            ]
            if not any(not url.endswith("/") for url in found):
                raise Refused(f"The specified S3 prefix '{prefix}' does not exist", "XX000")
            return [File(url, self._get(url)) for url in sorted(found) if not url.endswith("/")]
        except (BotoCoreError, ClientError) as fault:
            raise Refused(f"S3ServiceException:{fault}", "XX000") from None

    def _get(self, url: str) -> bytes:
        bucket, key = _split(url)
        body: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def _listed(self, copy: Copy) -> list[File]:
        try:
            entries = json.loads(self._get(copy.url))["entries"]
        except (ValueError, KeyError, TypeError):
            raise Refused(f"Invalid manifest {copy.url}", "XX000") from None
        found = [
            self._entry(entry, columnar=copy.options["format"] in _COLUMNAR) for entry in entries
        ]
        files = [file for file in found if file is not None]
        if not files:
            raise Refused(f"No file of the manifest {copy.url} exists", "XX000")
        return files

    def _entry(self, entry: dict[str, Any], *, columnar: bool) -> File | None:
        """A file that a manifest names; of columnar files it says the size too."""
        url, size = entry["url"], entry.get("meta", {}).get("content_length")
        if columnar and size is None:
            raise Refused(f"The manifest lacks meta.content_length of {url} [refused]", "XX000")
        try:
            body = self._get(url)
        except ClientError as fault:
            if entry.get("mandatory") or fault.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        if size is not None and size != len(body):
            raise Refused(
                f"The manifest says {size} bytes of {url}, which has {len(body)} [refused]", "XX000"
            )
        return File(url, body)


def _split(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key
