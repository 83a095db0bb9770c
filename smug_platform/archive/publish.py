"""What follows the lake when an account is erased: replicas, marts, dashboard; and the stream."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from smug_platform.archive.erase import Copy
from smug_platform.bi.dashboard import write_dashboard
from smug_platform.errors import StreamError, WarehouseError
from smug_platform.settings import Settings
from smug_platform.stream.client import describe, kinesis_client
from smug_platform.sync import Platform
from smug_platform.sync import publish as bring
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.rewrite import rewrite


def publish(settings: Settings) -> list[Copy]:
    """Bring warehouse, marts and the page to where the lake is; what that cleared.

    Raises the first problem of a table or a model: the erasure is then to be done again.
    """
    return list(_published(settings))


def stream_gone_by(settings: Settings) -> str | None:
    """When what the stream holds now is gone; None when it does not answer."""
    try:
        _, seconds = describe(kinesis_client(settings.stream), settings.stream.name)
    except StreamError:
        return None
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def _published(settings: Settings) -> Iterator[Copy]:
    if settings.warehouse != "duckdb":
        yield Copy("warehouse", "its next load deletes the rows; run VACUUM DELETE ONLY after it")
        return
    done = bring(Platform(settings, FLICKR), tests=False)
    done.require_success()
    rows = sum(loaded.replaced for loaded in done.loaded)
    models = len(done.built.nodes) if done.built else 0
    rewrite(settings)
    yield Copy("warehouse", "replicas follow the lake; its file was written anew", rows)
    yield Copy("marts and bi views", f"{models} models were built anew")
    try:
        write_dashboard(settings)
    except WarehouseError:  # nothing is built yet, so there is no page either
        return
    yield Copy("dashboard page", "written anew; QuickSight's extracts follow at their next refresh")
