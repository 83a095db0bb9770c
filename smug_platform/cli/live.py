"""The consumer in the foreground, and its numbers as a dashboard in the terminal."""

import logging
import sys
import threading
import time
from datetime import timedelta

from rich.console import Group
from rich.live import Live as Screen
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from smug_platform.cli.console import alone, console, grid, stop_on_signals
from smug_platform.errors import SmugError
from smug_platform.realtime.look import Line, Live, look
from smug_platform.realtime.metrics import METRICS
from smug_platform.realtime.run import consume
from smug_platform.realtime.store import Store, store_path
from smug_platform.settings import Settings
from smug_platform.tables.flickr import FLICKR

_LOOK_SECONDS = 0.5
_SILENT = timedelta(seconds=10)
_SLOW = timedelta(seconds=5)


def run(settings: Settings, *, until_quiet: bool) -> None:
    """Count until ctrl-C or SIGTERM, or until nothing is left to read; raises SmugError."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    for name in ("botocore", "boto3", "urllib3", "pyiceberg"):
        logging.getLogger(name).setLevel(logging.WARNING)
    runs = SmugError("the consumer runs already", remedy="see what it counts with `smug live`")
    stop = threading.Event()
    with alone(settings.home, "realtime", runs), stop_on_signals(stop):
        done = consume(settings, FLICKR, stop=stop, until_quiet=until_quiet)
    sys.stdout.write(
        f"{done.changes:,} changes counted, {done.duplicates:,} copies left out,"
        f" {done.refused:,} refused\n"
    )


def show(settings: Settings, *, once: bool) -> None:
    """Show the dashboard until ctrl-C; once, where nobody looks on. Raises SmugError."""
    out, stop = console(), threading.Event()
    with Store(store_path(settings), read_only=True) as store:
        if once or not out.is_terminal:
            out.print(dashboard(look(store)))
            return
        with (
            stop_on_signals(stop),
            Screen(console=out, screen=True, auto_refresh=False) as screen,
        ):
            while not stop.is_set():
                screen.update(dashboard(look(store)), refresh=True)
                stop.wait(_LOOK_SECONDS)


def dashboard(live: Live) -> Group:
    """The numbers of one moment."""
    return Group(
        _head(live),
        Text(),
        _windows(live),
        Text(),
        _lines("the last hour by operation", "operation", live.by_operation),
        Text(),
        _lines("the last hour by shard", "shard", live.by_shard),
        *_refused(live),
    )


def _head(live: Live) -> Group:
    counts = live.progress.counts
    silent = live.silence > _SILENT
    state = f"[red]silent for {live.silence.total_seconds():,.0f} s[/]" if silent else "counting"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(live.progress.watermark / 1e6))
    return Group(
        Text.from_markup(f"[bold]live[/]  {state}  watermark {at} UTC  {live.rate:,.0f} changes/s"),
        Text.from_markup(
            f"commit to number: median {_seconds(live.median)}, p99 {_seconds(live.p99)}"
            f"  {counts.get('changes', 0):,} changes, {counts.get('duplicates', 0):,} copies left"
            f" out, {counts.get('refused', 0):,} refused"
        ),
    )


def _windows(live: Live) -> Grid:
    """A row a window; revenue has a column a currency."""
    currencies = sorted(
        {place for sums in live.windows.values() for place in sums if place[0] == "revenue"}
    )
    counted = [metric.name for metric in METRICS if metric.unit == "rows"]
    made = grid("window (UTC)", *counted, *(f"revenue {currency}" for _, currency in currencies))
    for start, sums in live.windows.items():
        totals = [sum(v for (metric, _), v in sums.items() if metric == name) for name in counted]
        made.add_row(
            start.strftime("%H:%M"),
            *(f"{total:,}" for total in totals),
            *(_amount(sums.get(place, 0)) for place in currencies),
        )
    return made


def _lines(title: str, of: str, lines: list[Line]) -> Grid:
    made = grid("metric", of, "changes", "net", "late", left=2, title=title)
    for line in lines:
        unit = {metric.name: metric.unit for metric in METRICS}[line.metric]
        net = f"{line.value:,}" if unit == "rows" else _amount(line.value)
        name = " ".join(filter(None, (line.metric, line.currency)))
        made.add_row(name, line.of, f"{line.changes:,}", net, f"{line.late:,}")
    return made


def _refused(live: Live) -> list[Text]:
    return [Text()] * bool(live.refused) + [
        Text.from_markup(f"[yellow]refused[/] {escape(' '.join(filter(None, one)))}")
        for one in live.refused
    ]


def _amount(hundredths: int) -> str:
    """An amount with its decimal point.

    >>> _amount(-1234567)
    '-12,345.67'
    """
    whole, rest = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole:,}.{rest:02}"


def _seconds(value: timedelta | None) -> str:
    if value is None:
        return "-"
    text = f"{value.total_seconds():.1f} s"
    return f"[yellow]{text}[/]" if value > _SLOW else text
