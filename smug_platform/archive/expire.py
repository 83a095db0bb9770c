"""The end of an object's life, where no store does it by itself: a folder."""

from datetime import UTC, datetime, timedelta

from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import all_manifests
from smug_platform.settings_archive import ArchiveSettings


def expire(archive: Archive, settings: ArchiveSettings) -> int:
    """Remove the objects that were sealed so long ago; how many went. Manifests stay.

    Raises ArchiveError, having removed what came before, for one that is still locked.
    """
    if not settings.expire_days:
        return 0
    before = datetime.now(UTC) - timedelta(days=settings.expire_days)
    removed = 0
    for manifest in all_manifests(archive.store):
        if datetime.fromisoformat(manifest.sealed_at) < before:
            for one in manifest.objects:
                if archive.store.state(one.name) is not None:
                    archive.store.remove(one.name)
                    removed += 1
    return removed
