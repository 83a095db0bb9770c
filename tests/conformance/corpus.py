"""All table cases in one database, taken through the whole way once; the tests then look at it."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import pytest

from smug_platform.local.mariadb import connect as connect_shard
from smug_platform.local.mariadb import start_shard
from smug_platform.oracle.reconcile import Comparison, reconcile
from smug_platform.raw import deltas as raw
from smug_platform.settings import Settings, Shard
from smug_platform.tables.table import Source
from smug_platform.warehouse.connect import connect
from tests.conformance.cases import Case
from tests.conformance.change_cases import CHANGE_CASES
from tests.conformance.oracle import EMPTY, Copy, Row, lake_copy, source_rows, warehouse_copy
from tests.conformance.stack import Stack
from tests.conformance.type_cases import TYPE_TABLES, ZERO_DATES, ZERO_DATES_NOT_NULL

STAGES = ("snapshot", "stream", "restart", "replay")
CASES: tuple[Case, ...] = (*(table.case() for table in TYPE_TABLES), *CHANGE_CASES)
SOURCE = Source(database="flickr_cases", tables=tuple(case.record for case in CASES))
WRITTEN_DURING_SNAPSHOT = ("a06", "k01")
MOVED_BY = 20_000  # that far a key goes that changes during the snapshot

# One server in the zone of its machine, which keeps summer time, and one in a fixed one.
_ZONES = (("America/Chicago", "SYSTEM"), ("UTC", "+05:30"))
# The first binlog file that counts: two rotations in which text order and number order differ.
_FIRST_FILES = (99, 999_999)


@dataclass(frozen=True)
class Seen:
    """One table at one stage: the source's rows by shard, and the two copies."""

    source: dict[str, list[Row]]
    lake: Copy
    warehouse: Copy


@dataclass
class Corpus:
    """What was seen at each stage, by table; and the problems of tables that had some."""

    stack: Stack
    seen: dict[str, dict[str, Seen]] = field(default_factory=dict)
    problems: dict[str, list[Exception]] = field(default_factory=dict)
    replayed: int = 0
    compared: Sequence[Comparison] = ()

    def look(self, stage: str) -> None:
        """Bring everything through, and write down what is there."""
        for name, problem in self.stack.sync().items():
            self.problems.setdefault(name, []).append(problem)
        settings, platform = self.stack.settings, self.stack.platform
        found: dict[str, Seen] = {}
        tables = [case.table for case in CASES]
        sources = {
            shard.name: source_rows(shard, SOURCE.database, tables) for shard in settings.shards
        }
        with connect(settings) as warehouse:
            for target in platform.targets:
                rows = {shard: held.get(target.name, []) for shard, held in sources.items()}
                copies = [
                    lake_copy(platform.lakehouse.catalog, target.name),
                    warehouse_copy(warehouse, target.name),
                ]
                found[target.name] = Seen(rows, *copies)
        self.seen[stage] = found

    def table(self, name: str, stage: str = "replay") -> Seen:
        """One table at a stage; fails when the table met a problem."""
        for problem in self.problems.get(name, ()):
            raise problem
        found = self.seen[stage][name]
        assert found.lake is not EMPTY, f"{name} is not in the lake"
        return found


@contextmanager
def zoned_shards(settings: Settings) -> Iterator[Settings]:
    """The shards of the settings, each in a time zone of its own."""
    with ExitStack() as running:
        for number, (shard, (machine, zone)) in enumerate(
            zip(settings.shards, _ZONES, strict=True)
        ):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("TZ", machine)
                process = start_shard(
                    shard,
                    settings.home / "mysql" / shard.name,
                    server_id=201 + number,
                    extra=(
                        f"--default-time-zone={zone}",
                        "--log-bin-trust-function-creators=1",
                        "--max-allowed-packet=128M",  # D13: a value of 100 MiB
                    ),
                )
            running.callback(process.stop)
            _let_choose_format(settings, shard)
        yield settings


def _let_choose_format(settings: Settings, shard: Shard) -> None:
    """Let the shard's user write to the binlog in statements."""
    data = settings.home / "mysql" / shard.name / "data"
    root = pymysql.connect(unix_socket=root_socket(data), user="root")
    try:
        with root.cursor() as cursor:
            cursor.execute(f"GRANT BINLOG ADMIN, FILE ON *.* TO '{shard.user}'@'%'")
    finally:
        root.close()


def run_corpus(stack: Stack) -> Corpus:
    """Take every case through its phases."""
    corpus = Corpus(stack)
    stack.create_database()
    for number, first in enumerate(_FIRST_FILES):
        stack.write(number, f"RESET MASTER TO {first}")
        stack.write(number, *(case.create for case in CASES))
        _run_phase(stack, "before", number)
    with stack.capturing() as capture:
        with _writing(stack.settings.shards[0]):
            capture.wait_streaming()
        capture.reach()
        corpus.look("snapshot")
        for number in range(len(_FIRST_FILES)):
            _run_phase(stack, "during", number)
        capture.reach()
        corpus.look("stream")
    _name_zone(stack.settings)
    for number in range(len(_FIRST_FILES)):
        _run_phase(stack, "later", number)
    with stack.capturing() as capture:
        capture.reach()
        corpus.look("restart")
    corpus.replayed = _forget_stream_positions(stack)
    corpus.look("replay")
    tables = [ZERO_DATES.name, ZERO_DATES_NOT_NULL.name]
    corpus.compared = reconcile(stack.settings, SOURCE, tables=tables)  # before others write there
    return corpus


def _run_phase(stack: Stack, phase: str, shard: int) -> None:
    for case in CASES:
        try:
            stack.write(shard, *case.statements(phase, shard=shard))
        except pymysql.MySQLError as fault:
            raise AssertionError(f"{case.id}, {phase}: the source refuses it: {fault}") from fault


@contextmanager
def _writing(shard: Shard) -> Iterator[None]:
    """Insert, update, delete and give new keys all over some tables until the block ends."""
    stop = threading.Event()

    def write() -> None:
        dice = random.Random(7)
        with connect_shard(shard, database=SOURCE.database) as cursor:
            while not stop.wait(0.001):
                low = 2**63 + dice.randrange(-3000, 12000)
                for table in WRITTEN_DURING_SNAPSHOT:
                    cursor.execute(f"REPLACE INTO {table} VALUES ({low}, 'put')")
                    cursor.execute(f"UPDATE {table} SET v = 'set' WHERE id = {low + 7}")
                    cursor.execute(f"DELETE FROM {table} WHERE id = {low + 13}")
                    cursor.execute(
                        f"UPDATE IGNORE {table} SET id = id + {MOVED_BY} WHERE id = {low + 17}"
                    )

    thread = threading.Thread(target=write, name="writer")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _name_zone(settings: Settings) -> None:
    """Give the first server its zone by name, for which it needs the zone's table."""
    data = settings.home / "mysql" / settings.shards[0].name / "data"
    root = pymysql.connect(unix_socket=root_socket(data), user="root", autocommit=True)
    try:
        with root.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            cursor.execute("USE mysql")
            cursor.execute("INSERT INTO time_zone (Use_leap_seconds) VALUES ('N')")
            cursor.execute("SET @zone = LAST_INSERT_ID()")
            cursor.execute("INSERT INTO time_zone_name VALUES ('America/Chicago', @zone)")
            # The rules of 2024, in seconds since 1970: winter, summer, winter.
            cursor.execute(
                "INSERT INTO time_zone_transition_type VALUES"
                " (@zone, 0, -21600, 0, 'CST'), (@zone, 1, -18000, 1, 'CDT')"
            )
            cursor.execute(
                "INSERT INTO time_zone_transition VALUES"
                " (@zone, 1699167600, 0), (@zone, 1710057600, 1), (@zone, 1730617200, 0)"
            )
            cursor.execute("SET GLOBAL time_zone = 'America/Chicago'")
    finally:
        root.close()


def root_socket(data: Path) -> str:
    return str(data / "mariadbd.sock")


def _forget_stream_positions(stack: Stack) -> int:
    """Lose raw's place in the stream, so that all of it comes once more, oldest first."""
    table = raw.open_deltas(stack.platform.lakehouse.catalog)
    before = table.scan().count()
    table.append(raw.ARROW.empty_table())
    return before
