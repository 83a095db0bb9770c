"""The command line: what it imports, what it says of errors, and what its tables hold."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from smug_platform.capture.position import Position
from smug_platform.capture.status import Status
from smug_platform.cli import main
from smug_platform.cli.capture import _Log, _Screen
from smug_platform.cli.console import console, stop_on_signals
from smug_platform.cli.demo import _next, _stages
from smug_platform.cli.demo import _Screen as DemoScreen
from smug_platform.cli.show import comparisons, differences
from smug_platform.cli.stack import dev_lock
from smug_platform.errors import SmugError
from smug_platform.lake.merged import Merged
from smug_platform.local.demo import Outcome, reset
from smug_platform.local.tally import Tally
from smug_platform.oracle.differ import Difference
from smug_platform.oracle.reconcile import Comparison, reconcile
from smug_platform.raw.land import Landed
from smug_platform.settings import Settings
from smug_platform.sync import Synced
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.dbt import DbtResult, NodeResult
from smug_platform.warehouse.load import Loaded
from tests.conftest import local_settings

COMMANDS = (
    "up", "down", "status", "capture", "workload", "sync", "verify", "query", "dashboard", "demo",
    "dev", "realtime", "live", "snapshot", "backfill",
)  # fmt: skip
HEAVY = {"dagster", "dbt", "jpype", "altair", "boto3", "polars"}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["smug", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An environment in which nothing runs, on free ports."""
    settings = local_settings(tmp_path)
    monkeypatch.setenv("SMUG_ENV", "test")
    monkeypatch.setenv("SMUG_HOME", str(tmp_path))
    monkeypatch.setenv("SMUG_MYSQL_PORT", str(settings.shards[0].port))
    monkeypatch.setenv("SMUG_KINESIS_PORT", settings.stream.endpoint.rpartition(":")[2])  # type: ignore[union-attr]
    return settings


def shown(*things: object) -> str:
    out = Console(width=200)
    with out.capture() as capture:
        for thing in things:
            out.print(thing)
    return capture.get()


@pytest.mark.parametrize(
    "imports",
    ["smug_platform.cli", "smug_platform.cli.show, smug_platform.cli.workload"],
)
def test_nothing_heavy_is_imported(imports: str) -> None:
    code = f"import sys, {imports}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    allowed = {"boto3"} if "show" in imports else set()
    assert {name.split(".")[0] for name in done.split()} & HEAVY <= allowed


def test_every_command_says_what_it_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, "--help") == 0
    told = capsys.readouterr().out
    for command in COMMANDS:
        assert f" {command} " in told
        assert run(monkeypatch, command, "-h") == 0
        assert len(capsys.readouterr().out.splitlines()) > 4


def test_an_error_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMUG_ENV", "production")
    assert run(monkeypatch, "status") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "error: unknown SMUG_ENV 'production': set it to one of local, test, staging, prod\n"
    )


def test_status_where_nothing_runs(
    nowhere: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "status") == 0
    told = capsys.readouterr().out
    assert told.count("not running") == 4
    assert told.count("does not answer") == len(nowhere.shards)
    assert "nothing has landed yet" in told


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["verify"], "smug up"),
        (["sync"], "smug up"),
        (["workload"], "smug up"),
        (["dashboard"], "smug sync"),
        (["capture"], "smug up"),
    ],
)
def test_where_nothing_runs_each_command_says_what_to_start(
    nowhere: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: list[str],
    remedy: str,
) -> None:
    assert run(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert (said[:7], said.count("\n")) == ("error: ", 1)
    assert remedy in said
    assert nowhere.home.exists()


def test_an_unknown_table_is_named(nowhere: Settings) -> None:
    with pytest.raises(SmugError, match="no table 'fotos' is declared"):
        reconcile(nowhere, FLICKR, tables=["photos", "fotos"])


def test_down_where_nothing_runs(
    nowhere: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not nowhere.warehouse_path.exists()
    assert run(monkeypatch, "down") == 0
    assert capsys.readouterr().out == "nothing was running\n"


def test_aws_is_not_started_from_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SMUG_ENV", "prod")
    monkeypatch.setenv("SMUG_HOME", str(tmp_path))
    assert run(monkeypatch, "up") == 2
    assert "only a local stack is started from here" in capsys.readouterr().err


def test_the_demo_removes_its_own_data_and_nothing_else(nowhere: Settings) -> None:
    for name in ("mysql", "lake", "capture", "my notes"):
        (nowhere.home / name).mkdir()
        (nowhere.home / name / "file").touch()
    (nowhere.home / "smug.duckdb").touch()
    reset(nowhere, lambda _: None)
    assert {path.name for path in nowhere.home.iterdir()} <= {"my notes", "locks", "processes.json"}
    assert (nowhere.home / "my notes" / "file").exists()


def test_dev_and_demo_exclude_each_other(nowhere: Settings) -> None:
    with dev_lock(nowhere), pytest.raises(SmugError, match="runs on"), dev_lock(nowhere):
        pass
    with dev_lock(nowhere):
        pass


def a_comparison(**more: object) -> Comparison:
    found = {
        "table": "photos", "shard": "shard_0", "position": Position(1, 2, 300), "rows": 1234,
        "late": 0, "different": 0, "seconds": 0.5,
    }  # fmt: skip
    return Comparison(**{**found, **more})  # type: ignore[arg-type]


def test_verify_shows_where_it_differs() -> None:
    difference = Difference("id=7", "title", "'a [b]'", "x" * 300, "no row")
    wrong = a_comparison(different=3, differences=(difference,))
    assert a_comparison().equal
    assert not wrong.equal
    told = shown(comparisons([a_comparison(), wrong]), differences([wrong]))
    for text in ("1/2:300#0", "1,234", "id=7", "'a [b]'", "…", "no row"):
        assert text in told


def test_the_tally_adds_passes_up_and_leaves_idle_ones_out() -> None:
    seconds = {"land": 1.0, "merge": 2.0, "load": 0.5, "build": 3.0}
    nodes = (NodeResult("model.smug.a", "success", 1.0), NodeResult("test.smug.b", "warn", 1.0))
    merged = Merged("photos", deltas=10, duplicates=1, identical=2, merged_away=3, written=4)
    synced = Synced(
        landed=(Landed(deltas=10, copies=2),),
        merged=(merged,),
        loaded=(Loaded("photos", 1, rows=3, replaced=0, total=3),),
        built=DbtResult(nodes, 3.0),
        seconds=seconds,
    )
    tally = Tally()
    tally.add(Synced(seconds=seconds))
    assert tally.passes == 0
    tally.add(synced)
    tally.add(synced)
    assert tally.rows() == [
        ("stream to raw", "24", "4", "", "", "20", "2.0"),
        ("raw to lake", "20", "2", "4", "6", "8", "4.0"),
        ("lake to warehouse", "8", "", "", "2", "6", "1.0"),
        ("dbt, 2 builds", "4 nodes", "", "", "", "2 warned", "6.0"),
    ]


def test_the_demos_end(nowhere: Settings) -> None:
    outcome = Outcome(written=10, captured=12, dashboard=Path("/x/index.html"))
    assert not outcome.verified
    outcome.comparisons = [a_comparison()]
    assert outcome.verified
    outcome.lags = {"raw": [1.0, 3.0, 2.0]}
    outcome.seconds = dict.fromkeys(("write", "capture", "verify"), 1.0)
    told = shown(_stages(outcome))
    for text in ("shards", "capture", "stream to raw", "2.0", "3.0", "0 differ"):
        assert text in told
    lines = _next(nowhere, outcome)
    assert f"http://127.0.0.1:{nowhere.ui_port}" in lines[1]
    outcome.comparisons = [a_comparison(different=1)]
    assert not outcome.verified


def test_the_demos_screen_writes_plain_lines_to_a_file() -> None:
    out = Console(width=100)
    screen = DemoScreen(out)
    with out.capture() as capture, screen:
        screen.say("shard_0 [answers]")
        screen.count("raw", 1200, note="0.1 s behind")
        screen.done("raw")
    assert capture.get().splitlines() == ["shard_0 [answers]", "raw: deltas landed 1,200"]


def test_captures_log_tells_of_changes_and_not_of_every_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = _Log()
    caplog.set_level("INFO")
    status = Status("shard_0", "streaming", position=Position(1, 2, 3), events=5, note="why")
    log.on_status(status)
    log.on_status(status)
    log.on_status(Status("shard_0", "stopped", events=6))
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "shard_0 streaming at 1/2:3#0",
        "shard_0 stopped at -",
    ]


def test_captures_screen_has_a_line_a_shard() -> None:
    screen = _Screen()
    assert "starting" in shown(screen._grid())
    screen.on_status(Status("shard_0", "streaming", events=1234, rate=56.7, lag=0.25))
    told = shown(screen._grid())
    for text in ("shard_0", "1,234 events", "57/s", "0.2 s behind"):
        assert text in told


def test_signals_are_given_back() -> None:
    stop = threading.Event()
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals(stop):
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_file_gets_wide_lines() -> None:
    assert console().width > 100
