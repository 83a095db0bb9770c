"""Merging D changed rows into a lake table of T rows, beside what a user would merge with instead.

One table: median time, changes a second, bytes written, memory, and the ratio of each peer's time
to ours in the same run. Ours starts from rows of `raw.deltas`; a second line leaves out reading and
decoding them, for the peers are given decoded rows. Each changed key is another one, all over the
table; one change in twenty is a delete and one in ten an insert. A first merge of each size is not
counted: it maps the index.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from bench.lake import make_base, make_index
from bench.ours import median, merges, prepare
from bench.peers import PEERS, Peer
from bench.process import fresh
from bench.shapes import SHAPES, Shape
from bench.show import grid, numbers, print_grid, progress
from rich.table import Table as Grid

OURS, DECODED = "from landed JSON", "from decoded rows"
MANY = 1_000_000  # changes of which two merges are enough
_PEERS = ",".join(PEERS)


@dataclass(frozen=True)
class Setting:
    """What is measured, for one T."""

    home: Path
    shape: Shape
    rows: int
    sizes: list[int]
    runs: int
    peer_seconds: float
    patient: bool


def main(
    rows: Annotated[str, typer.Option(help="T, by commas")] = "1_000_000,10_000_000",
    changes: Annotated[str, typer.Option(help="D, by commas")] = "1_000,10_000,100_000,1_000_000",
    shape: Annotated[str, typer.Option(help="narrow, text (key), wide (60 columns)")] = "narrow",
    runs: Annotated[int, typer.Option(help="merges of which the median is taken")] = 5,
    peers: Annotated[str, typer.Option(help="which, by commas")] = _PEERS,
    peer_seconds: Annotated[float, typer.Option(help="for a peer and a size")] = 20.0,
    patient: Annotated[bool, typer.Option("--patient", help="peers at all sizes")] = False,
) -> None:
    """Run the benchmark and print its table."""
    found = grid(
        "T", "D", "engine", "ms", "cores ms", "changes/s", "MB written", "peak MB (own)", "x ours"
    )
    for size in numbers(rows):
        with TemporaryDirectory() as folder:
            setting = Setting(
                Path(folder), SHAPES[shape], size, numbers(changes), runs, peer_seconds, patient
            )
            measured = ours(setting)
            for name in filter(None, peers.split(",")):
                measured += theirs(setting, PEERS[name])
        fill(found, setting, measured)
    print_grid(f"{SHAPES[shape].about}; median of {runs} merges", found)


@dataclass(frozen=True)
class Line:
    """One engine and one D. seconds: None where it was not done, for the reason in `note`."""

    size: int
    engine: str
    seconds: float | None
    cpu: float = 0.0
    bytes: int = 0
    memory: str = ""
    note: str = ""


def ours(setting: Setting) -> list[Line]:
    """Our merge, on a table that is made here."""
    home, shape, rows = setting.home / "ours", setting.shape, setting.rows
    home.mkdir()
    fresh(make_base, home, shape, rows)
    seconds = fresh(make_index, home, shape, rows).value
    progress(f"T = {rows:,}: the first merge, which builds the index: {seconds:.1f} s")
    lines = []
    for size in setting.sizes:
        runs = setting.runs if size < MANY else 2
        fresh(prepare, home, shape, rows, size, runs + 1)
        done = fresh(merges, home, shape)
        written = int(median(took.bytes for took in done.value))
        whole = median(took.seconds for took in done.value)
        rest = median(took.decoded for took in done.value)
        progress(f"T = {rows:,}, D = {size:,}: {whole * 1000:.0f} ms")
        cpu = median(took.cpu for took in done.value)
        lines.append(Line(size, OURS, whole, cpu, written, done.memory))
        lines.append(Line(size, DECODED, rest, 0.0, written, done.memory))
    return lines


def theirs(setting: Setting, peer: Peer) -> list[Line]:
    """A peer's merges, on a table of its own."""
    missing = peer.missing()
    most = 10**9 if setting.patient else peer.most_changes
    tried = (
        []
        if missing or (setting.rows > peer.most_rows and not setting.patient)
        else [size for size in setting.sizes if size <= most]
    )
    lines = [
        Line(size, peer.title, None, note=missing or "--patient")
        for size in setting.sizes
        if size not in tried
    ]
    if not tried:
        return lines
    home = setting.home / peer.name
    home.mkdir()
    fresh(peer.make, home, setting.shape, setting.rows)
    for size in tried:
        args = home, setting.shape, setting.rows, size, setting.peer_seconds
        done = fresh(peer.merges, *args, seconds=2 * setting.peer_seconds)
        seconds, written = done.value or (None, 0)
        note = f"more than {2 * setting.peer_seconds:.0f} s"
        progress(f"T = {setting.rows:,}, D = {size:,}: {peer.name} {seconds or note}")
        lines.append(Line(size, peer.title, seconds, 0.0, written, done.memory, note))
    shutil.rmtree(home)
    return lines


def fill(found: Grid, setting: Setting, lines: list[Line]) -> None:
    """Enter the lines, by D."""
    for size in setting.sizes:
        here = [line for line in lines if line.size == size]
        base = next(line.seconds for line in here if line.engine == DECODED)
        for line in here:
            cells = [f"{setting.rows:,}", f"{size:,}", line.engine]
            if line.seconds is None or base is None:
                found.add_row(*cells, line.note)
                continue
            ratio = "" if line.engine in {OURS, DECODED} else f"{line.seconds / base:,.0f}"
            found.add_row(
                *cells, f"{line.seconds * 1000:,.0f}",
                f"{line.cpu * 1000:,.0f}" if line.cpu else "", f"{size / line.seconds:,.0f}",
                f"{line.bytes / 1e6:,.2f}", line.memory, ratio,
            )  # fmt: skip
        found.add_section()


if __name__ == "__main__":
    typer.run(main)
