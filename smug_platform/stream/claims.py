"""Claim check: what is too large for the stream stands beside it, and the stream says where.

Objects are named by their content's hash, so that one written twice is one object. What is fetched
is checked against size and hash before anybody sees it.
"""

import hashlib
from functools import cached_property

import orjson
import pyarrow.fs as pafs

from smug_platform.errors import StreamError

_PREFIX = b'{"claim":'


class BadClaim(ValueError):
    """A claim whose object is missing or is not what was stored."""


class Claims:
    """A store of oversized records under a URI: file:// or s3://."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")

    @cached_property
    def _root(self) -> tuple[pafs.FileSystem, str]:
        filesystem, path = pafs.FileSystem.from_uri(self._uri)
        return filesystem, path.rstrip("/")

    def store(self, data: bytes) -> bytes:
        """Store a record durably; the envelope that stands for it on the stream.

        Raises StreamError when the store can't be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        name = f"{digest[:2]}/{digest}.json"
        try:
            self._write(name, data)
        except OSError as error:
            raise StreamError(
                f"a record of {len(data)} bytes can't be stored at {self._uri}: {error}",
                remedy="make that place writable; nothing was lost, capture sends it again",
                passes=may_pass(error),
            ) from error
        claim = {"uri": f"{self._uri}/{name}", "sha256": digest, "bytes": len(data)}
        return orjson.dumps({"claim": claim})

    def resolve(self, data: bytes) -> bytes:
        """What a record stands for: the stored one for a claim, itself for any other.

        Raises BadClaim when the object is missing or differs, StreamError when the store can't be
        reached.
        """
        if not data.startswith(_PREFIX):
            return data
        try:
            claim = orjson.loads(data)["claim"]
            uri, digest, size = claim["uri"], claim["sha256"], claim["bytes"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadClaim(f"the claim can't be read: {error}") from None
        found = self._read(uri)
        if len(found) != size or hashlib.sha256(found).hexdigest() != digest:
            raise BadClaim(f"{uri} is not what was stored ({len(found)} bytes, not {size})")
        return found

    def _write(self, name: str, data: bytes) -> None:
        """Under another name first: nobody finds half an object, even after a kill."""
        filesystem, root = self._root
        path = f"{root}/{name}"
        found = filesystem.get_file_info(path)
        if found.type == pafs.FileType.File and found.size == len(data):
            return
        filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        with filesystem.open_output_stream(f"{path}.tmp") as file:
            file.write(data)
        filesystem.move(f"{path}.tmp", path)

    def _read(self, uri: str) -> bytes:
        if not uri.startswith(f"{self._uri}/"):
            raise BadClaim(f"{uri} lies outside the claim store {self._uri}")
        filesystem, root = self._root
        try:
            with filesystem.open_input_stream(root + uri[len(self._uri) :]) as file:
                return bytes(file.read())
        except FileNotFoundError:
            raise BadClaim(f"{uri} is missing") from None
        except OSError as error:
            raise StreamError(
                f"{uri} can't be read: {error}",
                remedy="check the claim store, then try again",
                passes=may_pass(error),
            ) from error


def may_pass(error: OSError) -> bool:
    """Whether a store that failed so may work later: all but a missing right.

    S3's answers come as plain OSErrors, with the code of the answer in their text.

    >>> may_pass(OSError("AWS Error SLOW_DOWN during PutObject operation"))
    True
    >>> may_pass(OSError("AWS Error ACCESS_DENIED during PutObject operation"))
    False
    """
    return not isinstance(error, PermissionError) and "ACCESS_DENIED" not in str(error)
