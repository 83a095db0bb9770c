"""The dashboard: what it shows of the numbers."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from smug_platform.cli.live import dashboard
from smug_platform.realtime.look import Line, look
from tests.unit.realtime.conftest import Live, at


@pytest.fixture
def busy(live: Live) -> Live:
    live.do("photos", "insert", *({"id": n, "uploaded_at": at(0.2)} for n in range(3)))
    live.do("photos", "delete", {"id": 1})
    order = {"id": 1, "status": "placed", "total": "1234.50", "currency": "EUR"}
    live.do("orders", "insert", order | {"placed_at": at(0.1)})
    live.stream.put(2, [b"garbage"])
    live.step()
    return live


def test_a_look_has_windows_lines_delays_and_what_was_refused(busy: Live) -> None:
    seen = look(busy.store, now=busy.now + 3)
    (newest, *_), (sums, *_) = seen.windows, seen.windows.values()
    assert newest.minute == 0
    assert sums == {("uploads", ""): 2, ("orders", "EUR"): 1, ("revenue", "EUR"): 123450}
    assert Line("uploads", "", "d", 1, -1, 0) in seen.by_operation
    assert Line("uploads", "", "shard_0", 4, 2, 0) in seen.by_shard
    assert seen.silence == timedelta(seconds=3)
    assert seen.p99 is not None
    assert seen.median is not None
    assert seen.p99 >= seen.median > timedelta(0)
    assert seen.refused[0][0] == "stream"


def test_the_dashboard_prints_them(busy: Live) -> None:
    out = Console(width=140, record=True, file=StringIO())
    out.print(dashboard(look(busy.store, now=busy.now + 60)))
    text = out.export_text()
    assert "1,234.50" in text
    assert "revenue EUR" in text
    assert "silent for 60 s" in text
    assert "refused stream" in text
    out.print(dashboard(look(busy.store, now=busy.now)))
    assert "counting" in out.export_text()
