"""`smug status` and `smug verify`: tables for people."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from rich.markup import escape
from rich.table import Table as Grid

from smug_platform.capture.retention import SHORT, Gauge
from smug_platform.capture.sink import Heat, is_hot
from smug_platform.capture.store import Lease
from smug_platform.cli.console import console, grid
from smug_platform.lake.drift import LATE_SECONDS, SchemaBehind
from smug_platform.lake.feed import Relief
from smug_platform.oracle.differ import Difference
from smug_platform.oracle.reconcile import Comparison, reconcile
from smug_platform.settings import Settings
from smug_platform.status import PlatformStatus, ShardStatus, platform_status
from smug_platform.tables.flickr import FLICKR

_WIDTH = 60  # of a value in a table of differences


def show_status(settings: Settings) -> None:
    """Print how far everything has come."""
    status = platform_status(settings, FLICKR)
    out = console()
    for part in (_parts(status), _shards(status), _tables(status)):
        out.print(part)
        out.print()
    for words in (part.last_words for part in status.parts if part.last_words):
        out.print(f"capture ended: {escape(words)}", soft_wrap=True, style="yellow")
    due = [name for name, debt in status.debts.items() if debt.due]
    files = sum(debt.data_files for debt in status.debts.values())
    entries = sum(status.quarantine.values())
    wrong = ", ".join(f"{table or 'raw'} {n:,}" for table, n in sorted(status.quarantine.items()))
    out.print(f"quarantine: {f'[red]{entries:,}[/] ({escape(wrong)})' if entries else 'empty'}")
    debt = f"due for {', '.join(due)}" if due else "none due"
    out.print(f"compaction: {files:,} data files in the lake, {debt}")
    for line in _told(status, settings.stream.hot_share):
        out.print(line, soft_wrap=True)
    if status.relief.deltas:
        out.print(f"relief: {relief(status.relief)}", soft_wrap=True)
    for table, count in sorted(status.rejected.items()):
        out.print(f"rejected by the warehouse: {table} {count:,} rows", style="red")
    if status.note:
        out.print(escape(status.note), soft_wrap=True)


def _told(status: PlatformStatus, share: float) -> Iterator[str]:
    """Shards that are behind, read tables anew, passed over statements or send to one place of the
    stream, and those with another schema than the rest.
    """
    for shard in status.shards:
        if shard.behind_since:
            yield f"[yellow]{_late(shard, datetime.now(UTC))}[/]"
        if shard.asked:
            yield _asked(shard)
        if shard.passed_over:
            yield f"{shard.name}: {shard.passed_over:,} statements of no captured table not read"
        if shard.heat and is_hot(shard.heat, share):
            yield f"[yellow]{_hot(shard.name, shard.heat)}[/]"
    yield from map(_schema, status.behind)


def _late(shard: ShardStatus, now: datetime) -> str:
    """As of when a shard's changes have come, and why no later.

    >>> then, now = datetime(2026, 1, 31, 4, tzinfo=UTC), datetime(2026, 1, 31, 10, tzinfo=UTC)
    >>> late = ShardStatus("s1", None, None, "stopped", 0.0, None, "", behind_since=then)
    >>> _late(late, now)
    'behind: s1 since 2026-01-31 04:00:00 UTC (6.0 h): stopped'
    """
    since = shard.behind_since or now
    hours = (now - since).total_seconds() / 3600
    why = ": ".join(filter(None, (shard.phase, escape(shard.note))))
    return f"behind: {shard.name} since {since:%Y-%m-%d %H:%M:%S} UTC ({hours:,.1f} h): {why}"


def _asked(shard: ShardStatus) -> str:
    """The tables of a shard that are read anew, and how far that is.

    >>> more = {"reading": "photos, 7 rows of about 9", "asked": ("photos", "albums")}
    >>> _asked(ShardStatus("shard_0", None, None, "snapshot", 0.0, 0.0, "", **more))
    'shard_0 is to read anew: photos, albums (now photos, 7 rows of about 9)'
    """
    now = f" (now {shard.reading})" if shard.reading else ""
    return escape(f"{shard.name} is to read anew: {', '.join(shard.asked)}{now}")


def _hot(shard: str, heat: Heat) -> str:
    """What of a shard's changes goes to one place.

    >>> _hot("shard_0", Heat(9000, 10**7, 3, 0.83, 'photos {"id":5}', 0.8))
    'hot: 83% of what shard_0 sends goes to lane 3 of the stream, 80% to photos {"id":5} alone'
    """
    return (
        f"hot: {heat.lane_share:.0%} of what {shard} sends goes to lane {heat.lane} of the stream,"
        f" {heat.key_share:.0%} to {escape(heat.key)} alone"
    )


def _schema(behind: SchemaBehind) -> str:
    """What a shard lacks of its table's union schema, and since when; yellow after an hour."""
    seconds = (datetime.now(UTC) - behind.since).total_seconds()
    columns = escape(", ".join(behind.columns))
    text = (
        f"schema: {behind.table} of {behind.shard} differs from the other shards in {columns}"
        f" for {seconds / 3600:,.1f} h"
    )
    return f"[yellow]{text}[/]" if seconds >= LATE_SECONDS else text


def relief(found: Relief) -> str:
    """What merging spared the warehouse.

    >>> relief(Relief(deltas=1000, duplicates=20, identical=30, merged_away=200, written=750))
    '1,000 changes arrived, 20 twice, 30 identical, 200 merged away; 750 rows loaded'
    """
    return (
        f"{found.deltas:,} changes arrived, {found.duplicates + found.stale:,} twice,"
        f" {found.identical:,} identical, {found.merged_away:,} merged away;"
        f" {found.written:,} rows loaded"
    )


def _parts(status: PlatformStatus) -> Grid:
    made = grid("process", "port", "pid", "since")
    for part in status.parts:
        since = part.since.strftime("%H:%M:%S") + " UTC" if part.since else "[dim]not running[/]"
        made.add_row(part.name, _text(part.port), _text(part.pid), since)
    return made


def _shards(status: PlatformStatus) -> Grid:
    made = grid(
        "shard", "source position", "captured position", "capture", "events/s", "lag",
        "binlog kept", "hottest", "worker", "for",
    )  # fmt: skip
    for shard in status.shards:
        worker, since = _held(shard.lease)
        made.add_row(
            shard.name,
            shard.source or "[red]does not answer[/]",
            _text(shard.captured),
            shard.phase if shard.lag is not None else f"[yellow]{shard.phase}[/]",
            f"{shard.rate:,.0f}",
            _seconds(shard.lag),
            _kept(shard.binlog),
            f"{shard.heat.lane_share:.0%}" if shard.heat else "-",
            worker,
            since,
        )
    return made


def _kept(gauge: Gauge | None) -> str:
    """For how long the server still has the binlog that capture needs next.

    >>> _kept(Gauge("binlog.000007", kept=7200.0, left=5400.0)), _kept(Gauge("binlog.000007"))
    ('1.5 h', 'for ever')
    """
    if gauge is None:
        return "-"
    if gauge.is_purged:
        return "[red]purged[/]"
    if gauge.left is None:
        return "for ever"
    hours = f"{gauge.left / 3600:,.1f} h"
    return hours if gauge.share >= SHORT else f"[yellow]{hours}[/]"


def _held(lease: Lease | None) -> tuple[str, str]:
    """Who has a lease, as host:pid, and for how long; its counter says how often it changed hands.

    >>> _held(None)
    ('-', '-')
    """
    if lease is None or lease.worker is None:
        return "-", "-"
    held = timedelta(seconds=max(int(time.time()) - lease.taken_at, 0))
    return f"{lease.worker.rpartition(':')[0]} [dim]({lease.counter})[/]", str(held)


def _tables(status: PlatformStatus) -> Grid:
    once = {table.name for table in FLICKR.tables if table.reference}
    made = grid("shard", "table", "position", "raw", "lake", "warehouse", "behind", "lag", left=2)
    for number, row in enumerate(sorted(status.tables, key=lambda row: row.shard)):
        made.add_row(
            row.shard,
            f"{row.table} [dim](one copy of all shards')[/]" if row.table in once else row.table,
            _text(row.position),
            f"{row.raw:,}",
            _number(row.lake),
            _number(row.warehouse),
            _number(row.behind),
            _seconds(row.lag),
            end_section=number + 1 == len(status.tables) // max(len(status.shards), 1),
        )
    return made


def show_verify(settings: Settings, *, tables: list[str] | None, timeout: float) -> bool:
    """Reconcile, print what was compared and what differs; whether all is equal."""
    out = console()
    with out.status("reading the source") as spinner:
        found = reconcile(
            settings,
            FLICKR,
            tables=tables,
            timeout=timeout,
            progress=lambda c: spinner.update(f"compared {c.table} of {c.shard}"),
        )
    out.print(comparisons(found))
    wrong = [comparison for comparison in found if not comparison.equal]
    if not wrong:
        out.print("\nverified: source = lake = warehouse", style="green")
        return True
    out.print()
    out.print(differences(wrong), soft_wrap=True)
    total = sum(comparison.different for comparison in wrong)
    names = ", ".join(dict.fromkeys(comparison.table for comparison in wrong))
    out.print(f"\nnot verified: {total:,} rows differ, in {names}", style="red")
    return False


def comparisons(found: list[Comparison]) -> Grid:
    """What was compared, a row a table and shard."""
    made = grid(
        "table", "shard", "position", "rows", "changed since", "different", "seconds", left=2
    )
    for one in found:
        made.add_row(
            one.table,
            one.shard,
            str(one.position),
            f"{one.rows:,}",
            f"{one.late:,}",
            f"{one.different:,}" if one.equal else f"[red]{one.different:,}[/]",
            f"{one.seconds:.2f}",
        )
    return made


def differences(wrong: list[Comparison]) -> Grid:
    """What differs, a row a value."""
    made = grid("table", "shard", "key", "column", "source", "lake", "warehouse", left=7)
    for one in wrong:
        for difference in one.differences:
            made.add_row(one.table, one.shard, *_cells(difference))
    for column in made.columns[-3:]:  # so that where it is too wide, values are folded, not keys
        column.no_wrap, column.overflow = False, "fold"
    return made


def _cells(difference: Difference) -> list[str]:
    texts = (
        difference.key, difference.column, difference.source, difference.lake,
        difference.warehouse,
    )  # fmt: skip
    return [escape(t if len(t) <= _WIDTH else t[: _WIDTH - 1] + "…") for t in texts]


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} s"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
