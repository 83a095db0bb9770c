"""The archive on S3, its keys in DynamoDB, wrapped by KMS: real calls to a server on loopback."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from smug_platform.archive.archive import Archive
from smug_platform.archive.keys import FileWrapping, Keys, KmsWrapping
from smug_platform.archive.manifest import all_manifests
from smug_platform.archive.moment import Moment
from smug_platform.archive.read import Reading
from smug_platform.archive.records import SqliteRecords
from smug_platform.archive.replay import replay
from smug_platform.archive.resources import open_archive, prepare
from smug_platform.archive.restore import need, restore
from smug_platform.archive.s3 import aws_client, lifecycle_rules
from smug_platform.archive.store import Exists
from smug_platform.archive.verify import verify
from smug_platform.archive.write import write
from smug_platform.errors import ArchiveError
from smug_platform.lake.target import Target
from smug_platform.settings import StreamSettings
from smug_platform.settings_archive import ArchiveSettings
from tests.unit.archive.archives import SOURCE, World, change, fill, make_world

_BUCKET = "smug-test-archive"


@pytest.fixture(scope="module")
def settings(kinesis: StreamSettings) -> Iterator[ArchiveSettings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        made = ArchiveSettings(
            uri=f"s3://{_BUCKET}/deltas-of/flickr",
            keys="",
            records="smug-test-archive",
            storage_class="GLACIER_IR",
            retention_days=7,
            expire_days=30,
            endpoint=kinesis.endpoint,
        )
        kms = aws_client("kms", made)
        yield replace(made, keys=kms.create_key()["KeyMetadata"]["KeyId"])


@pytest.fixture(scope="module")
def archive(settings: ArchiveSettings) -> Archive:
    for _ in range(2):  # to prepare what is there changes nothing
        assert prepare(settings) == [f"bucket {_BUCKET}", "table smug-test-archive"]
    return open_archive(settings)


@pytest.fixture(scope="module")
def world(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(tmp_path_factory.mktemp("archive"))
    fill(made)
    made.land()
    write(made.catalog, archive, SOURCE)
    change(made, 1, 2, 3)
    made.land(hours=1)
    write(made.catalog, archive, SOURCE)
    return made


@pytest.fixture
def s3(settings: ArchiveSettings, world: World) -> Any:
    del world
    return aws_client("s3", settings)


def key_of(name: str) -> str:
    return f"deltas-of/flickr/{name}"


def test_it_holds(archive: Archive, world: World) -> None:
    proofs = verify(archive)
    assert [one for proof in proofs for one in proof.breaks] == []
    assert sum(one.rows for one in proofs) == sum(len(one.deltas) for one in world.shards.values())


def test_storage_class_lock_and_hash_of_each_object(archive: Archive, s3: Any) -> None:
    names = [one.name for manifest in all_manifests(archive.store) for one in manifest.objects]
    assert len(names) > 6
    for name in names:
        head = s3.head_object(Bucket=_BUCKET, Key=key_of(name), ChecksumMode="ENABLED")
        assert head["StorageClass"] == "GLACIER_IR"
        assert head["ObjectLockMode"] == "COMPLIANCE"
        days = head["ObjectLockRetainUntilDate"] - datetime.now(UTC)
        assert timedelta(days=6) < days <= timedelta(days=7)


def test_manifests_are_locked_and_at_hand(s3: Any) -> None:
    head = s3.head_object(Bucket=_BUCKET, Key=key_of("manifests/shard_0/00000001.json"))
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert "StorageClass" not in head or head["StorageClass"] == "STANDARD"


def test_a_manifest_is_made_once(archive: Archive) -> None:
    with pytest.raises(Exists):
        archive.store.create("manifests/shard_0/00000001.json", b"another")


def test_Q08_the_lock_blocks_an_early_delete(archive: Archive, s3: Any) -> None:
    """Of the object by us, and of its version by anybody."""
    name = all_manifests(archive.store)[0].objects[0].name
    with pytest.raises(ArchiveError, match="is locked until"):
        archive.store.remove(name)
    version = s3.head_object(Bucket=_BUCKET, Key=key_of(name))["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=_BUCKET, Key=key_of(name), VersionId=version)
    assert archive.store.read(name)


def test_a_hidden_object_is_missing(archive: Archive, s3: Any) -> None:
    """A removal without a version hides it: that is found, and can be taken back."""
    name = all_manifests(archive.store)[0].objects[0].name
    marker = s3.delete_object(Bucket=_BUCKET, Key=key_of(name))["VersionId"]
    breaks = [one for proof in verify(archive) for one in proof.breaks]
    assert [(one.place, one.problem) for one in breaks] == [(name, "it is gone")]
    s3.delete_object(Bucket=_BUCKET, Key=key_of(name), VersionId=marker)
    assert [one for proof in verify(archive) for one in proof.breaks] == []


def test_the_rules_of_the_bucket(settings: ArchiveSettings, s3: Any) -> None:
    found = s3.get_bucket_lifecycle_configuration(Bucket=_BUCKET)["Rules"]
    assert {rule["ID"] for rule in found} == {"half-written", "expired"}
    (expired,) = (rule for rule in found if rule["ID"] == "expired")
    assert expired["Expiration"]["Days"] == 30
    assert expired["Filter"]["Prefix"] == "deltas-of/flickr/deltas/"
    assert len(lifecycle_rules(replace(settings, expire_days=0))) == 1
    lock = s3.get_object_lock_configuration(Bucket=_BUCKET)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"


def test_keys_are_wrapped_by_kms(archive: Archive, settings: ArchiveSettings) -> None:
    held = archive.records.all("key")
    assert set(held) == {str(number) for number in range(1, 21)}
    assert len(archive.records.all("wrapping")["1"]) > 32
    again = open_archive(settings).keys.known(["1", "2", "no such account"])
    assert set(again) == {"1", "2"}


def test_without_its_kms_key_nothing_is_sealed(settings: ArchiveSettings, tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "records.db")
    wrapping = KmsWrapping(aws_client("kms", settings), "alias/not-there", records)
    with pytest.raises(ArchiveError, match="KMS does not unwrap"):
        Keys(records, wrapping).made(["1"])


def test_a_bucket_that_is_not_there(settings: ArchiveSettings, tmp_path: Path) -> None:
    made = make_world(tmp_path)
    fill(made, 2)
    made.land()
    elsewhere = open_archive(replace(settings, uri="s3://no-such-bucket/deltas"))
    with pytest.raises(ArchiveError, match="smug archive prepare"):
        write(made.catalog, elsewhere, SOURCE)


def test_records_are_added_once_and_removed(archive: Archive) -> None:
    records = archive.records
    many = {f"n{number}": b"first" for number in range(130)}
    assert records.add("test", many) == many
    assert records.add("test", {"n1": b"second", "n200": b"new"}) == {
        "n1": b"first",
        "n200": b"new",
    }
    records.put("test", "n1", b"third")
    records.remove("test", "n2")
    found = records.all("test")
    assert (found["n1"], len(found), "n2" in found) == (b"third", 130, False)


def test_Q07_a_cold_object_is_restored_before_it_is_read(
    settings: ArchiveSettings, tmp_path: Path
) -> None:
    """In a bucket of the class DEEP_ARCHIVE, whose objects no request can read as they are."""
    deep = replace(settings, uri="s3://smug-test-deep/a", storage_class="DEEP_ARCHIVE")
    prepare(deep)
    made = make_world(tmp_path)
    fill(made, 4)
    made.land()
    made.merge()
    cold = open_archive(deep)
    records = SqliteRecords(tmp_path / "keys" / "records.db")
    cold = Archive(cold.store, records, Keys(records, FileWrapping(tmp_path / "wrapping.key")))
    write(made.catalog, cold, SOURCE)
    photos = Target(SOURCE.table("photos"), alias="photos_again")
    sources = [one.sealed for one in Reading(cold, photos.table, Moment()).sources]
    with pytest.raises(ArchiveError, match="InvalidObjectState"):
        cold.store.read(sources[0].name)
    found = need(cold, sources, deep.storage_class, "Bulk")
    assert set(found.cold) == {one.name for one in sources}
    assert found.dollars > 0
    proofs = verify(cold)
    assert [one for proof in proofs for one in proof.breaks] == []
    assert sum(one.cold for one in proofs) == sum(one.objects for one in proofs)
    restore(cold, found.cold, tier="Bulk", pause=0.1)
    assert replay(made.catalog, cold, photos, Moment()).written == 4
