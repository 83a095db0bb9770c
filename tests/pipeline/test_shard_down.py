"""One of the shards goes away for six hours of the source's time, the whole way to the page."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from smug_platform.bi.dashboard import write_dashboard
from smug_platform.cli.show import show_status
from smug_platform.local.mariadb import connect, load_schema
from smug_platform.settings import Settings
from smug_platform.status import ShardStatus, platform_status
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.connect import connect as connect_warehouse
from tests.conformance.stack import Capture, Stack, wait
from tests.conftest import free_port
from tests.pipeline.capturing import Own

HOURS = 6


@pytest.fixture
def own(stack: Settings, tmp_path: Path) -> Iterator[Own]:
    """The second shard, on a server that the test may stop."""
    shard = replace(stack.shards[1], port=free_port())
    made = Own(replace(stack, shards=(shard,)), tmp_path / "mysql", server_id=78)
    made.start()
    load_schema(made.settings.shards[0])
    yield made
    made.process.stop()


def write(settings: Settings, shard: int, key: int, *, hours: int) -> None:
    """An album, on a server whose clock is so many hours ahead."""
    with connect(settings.shards[shard], database="flickr") as cursor:
        cursor.execute(f"SET timestamp = UNIX_TIMESTAMP() + {hours * 3600}")
        cursor.execute(
            "INSERT INTO albums (id, account_id, title, created_at)"
            f" VALUES ({key}, 1, 'An album', '2026-01-01')"
        )


def bring(stack: Stack, key: int) -> list[tuple[Any, ...]]:
    """Bring what there is to the marts until that album is there; what they say of each shard."""
    warehouse = []

    def arrived() -> bool:
        assert stack.sync() == {}
        with connect_warehouse(stack.settings, read_only=True) as connection:
            warehouse[:] = connection.execute("select id from warehouse.albums").fetchall()
        return (key,) in warehouse

    wait(arrived)
    built = stack.platform.build(tests=False)
    assert built is not None
    built.require_success()
    with connect_warehouse(stack.settings, read_only=True) as connection:
        return connection.execute(
            "select source_shard, round(shard_behind_seconds / 3600.0), is_shard_behind"
            " from bi.bi_freshness where table_name = 'albums' order by 1"
        ).fetchall()


def shard_status(settings: Settings, shard: str) -> ShardStatus:
    (found,) = [one for one in platform_status(settings, FLICKR).shards if one.name == shard]
    return found


def test_L13_a_shard_that_is_down_for_hours_is_named_and_the_others_stay_fresh(
    stack: Settings,
    own: Own,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: "window.vegaEmbed = () => {};")
    settings = replace(stack, shards=(stack.shards[0], own.settings.shards[0]))
    made = Stack(settings, FLICKR)
    for shard in (0, 1):
        write(settings, shard, 1 + shard, hours=0)
    with made.capturing() as capture:
        capture.reach()
        assert bring(made, 2) == [("shard_0", 0, False), ("shard_1", 0, False)]
        assert "partial" not in write_dashboard(settings).read_text(encoding="utf-8")
        heard = capture.statuses["shard_1"].heard_at
        own.process.stop()
        wait(lambda: capture.statuses["shard_1"].phase == "failed", alive=capture.check)
        between = datetime.fromtimestamp(heard, UTC), datetime.now(UTC)
        write(settings, 0, 3, hours=HOURS)
        assert bring(made, 3) == [("shard_0", 0, False), ("shard_1", HOURS, True)]
        page = write_dashboard(settings).read_text(encoding="utf-8")
        assert "partial: nothing of shard_1 since " in page
        assert " UTC (6.0 h)" in page
        is_named(settings, capture, between, capsys)
        own.start()
        write(settings, 1, 4, hours=HOURS)
        assert bring(made, 4) == [("shard_0", 0, False), ("shard_1", 0, False)]
        assert "partial" not in write_dashboard(settings).read_text(encoding="utf-8")
        wait(lambda: shard_status(settings, "shard_1").behind_since is None, alive=capture.check)


def is_named(
    settings: Settings,
    capture: Capture,
    between: tuple[datetime, datetime],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What `smug status` and the check by the hour say while it is down."""
    assert shard_status(settings, "shard_0").behind_since is None
    late = shard_status(settings, "shard_1")
    assert late.behind_since is not None
    assert between[0] <= late.behind_since <= between[1], "as of when it was stopped"
    assert "can't be reached" in late.note
    show_status(settings)
    assert f"behind: shard_1 since {late.behind_since:%Y-%m-%d %H:%M:%S} UTC" in (
        capsys.readouterr().out
    )
    wait(lambda: capture.statuses["shard_1"].lag > 1, alive=capture.check)
    assert capture.statuses["shard_0"].phase == "streaming"
