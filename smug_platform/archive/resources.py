"""The edge to the archive: opened at its first use, not when it is named."""

from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from smug_platform.archive.archive import Archive
from smug_platform.archive.keys import FileWrapping, Keys, KmsWrapping
from smug_platform.archive.records import DynamoRecords, SqliteRecords
from smug_platform.archive.s3 import S3Store, aws_client, prepare_bucket
from smug_platform.archive.store import FolderStore
from smug_platform.settings import Settings
from smug_platform.settings_archive import ArchiveSettings


class ArchiveResource:
    """The archive of an environment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def archive(self) -> Archive:
        """The archive itself."""
        return open_archive(self._settings.archive)


def open_archive(settings: ArchiveSettings) -> Archive:
    """The archive that the settings name."""
    if settings.is_local:
        records = SqliteRecords(Path(settings.records))
        store = FolderStore(Path(urlsplit(settings.uri).path), settings.retention_days)
        return Archive(store, records, Keys(records, FileWrapping(Path(settings.keys))))
    table = DynamoRecords(aws_client("dynamodb", settings), settings.records)
    wrapping = KmsWrapping(aws_client("kms", settings), settings.keys, table)
    return Archive(S3Store(aws_client("s3", settings), settings), table, Keys(table, wrapping))


def prepare(settings: ArchiveSettings) -> list[str]:
    """Make what an archive on AWS needs, but for the KMS key; what there now is."""
    if settings.is_local:
        return [settings.uri]
    DynamoRecords(aws_client("dynamodb", settings), settings.records).prepare()
    bucket = prepare_bucket(aws_client("s3", settings), settings)
    return [f"bucket {bucket}", f"table {settings.records}"]
