"""The reconciliation's looks: what is looked at again, and when it is given up."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smug_platform.capture.position import Position
from smug_platform.errors import SmugError, SourceError
from smug_platform.oracle import reconcile as reconciliation
from smug_platform.oracle.arrival import Cut
from smug_platform.oracle.reconcile import Comparison, reconcile
from smug_platform.oracle.shard import ViewLost
from smug_platform.settings import Settings, load_settings
from smug_platform.tables.flickr import FLICKR
from tests.conftest import local_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path), "SMUG_SHARD_COUNT": "1"})


class Looks(reconciliation._Run):
    """A reconciliation whose shard stands at, and whose comparisons find, what the test says."""

    places: tuple[int, ...] = ()
    finds: tuple[int | None, ...] = ()

    def _open(self, shards: Any, stack: ExitStack) -> Any:
        assert stack is not None
        place, *rest = self.places
        type(self).places = tuple(rest) or (place,)
        return {name: (SimpleNamespace(), Cut(name, 1, 1, place)) for name in shards}

    def _compare(self, table: Any, view: Any, cut: Cut) -> Comparison:
        assert view is not None
        different, *rest = self.finds
        type(self).finds = tuple(rest)
        if different is None:
            raise ViewLost
        position = Position(cut.epoch, cut.file, cut.offset)
        return Comparison(table.name, cut.shard, position, 10, 0, different, 0.1)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> type[Looks]:
    monkeypatch.setattr(reconciliation, "_Run", Looks)
    monkeypatch.setattr(reconciliation, "await_arrival", lambda *_, **__: None)
    return Looks


@pytest.mark.parametrize(
    ("places", "finds", "told"),
    [
        ((100,), (0,), [(100, 0)]),
        ((100, 100), (3,), [(100, 3)]),
        ((100, 200, 300), (3, 0), [(100, 3), (200, 0)]),
        ((100, 200, 300, 400), (3, 2, 2, 2), [(100, 3), (200, 2), (300, 2), (400, 2)]),
        ((100, 200), (None, 0), [(200, 0)]),
        ((100, 100), (None, 0), [(100, 0)]),
    ],
)
def test_what_differs_is_looked_at_again_while_the_shard_moves_on(
    settings: Settings,
    looks: type[Looks],
    *,
    places: tuple[int, ...],
    finds: tuple[int | None, ...],
    told: list[tuple[int, int]],
) -> None:
    looks.places, looks.finds = places, finds
    seen: list[tuple[int, int]] = []
    (found,) = reconcile(
        settings,
        FLICKR,
        tables=["photos"],
        progress=lambda one: seen.append((one.position.offset, one.different)),
    )
    assert seen == told
    assert (found.position.offset, found.different) == told[-1]
    assert found.equal is (told[-1][1] == 0)


def test_a_table_that_is_altered_all_the_time_is_given_up(
    settings: Settings, looks: type[Looks]
) -> None:
    looks.places, looks.finds = (1, 2, 3, 4, 5), (None,) * 4
    with pytest.raises(SourceError, match=r"photos was altered at each try.*verify again"):
        reconcile(settings, FLICKR, tables=["photos"])


def test_an_unknown_table_is_named(settings: Settings) -> None:
    with pytest.raises(SmugError, match="no table 'fotos' is declared"):
        reconcile(settings, FLICKR, tables=["photos", "fotos"])


def test_a_shard_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"shard_0 at 127.0.0.1:\d+ can't be reached: .*smug up"):
        reconcile(local_settings(tmp_path), FLICKR)
