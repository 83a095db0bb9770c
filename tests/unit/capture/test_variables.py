"""Variables of servers that are not here: MySQL's partial JSON and packed transactions, Aurora."""

from pathlib import Path

import pytest

from smug_platform.capture.variables import _RULES, find_in_variables, kept_seconds

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"

# As MySQL 8.0 has them where nobody changed them, but for what is noted.
MYSQL = {
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "binlog_row_value_options": "",
    "binlog_transaction_compression": "OFF",
    "binlog_expire_logs_seconds": "2592000",
    "binlog_expire_logs_auto_purge": "ON",
    "expire_logs_days": "0",
    "sync_binlog": "1",
    "server_id": "1",
}


def test_each_finding_is_listed() -> None:
    text = OPERATIONS.read_text()
    checks = {rule.check for rule in _RULES} | {"snapshot_time"}
    table = text[text.index("| Severity | Findings |") :].partition("\n\n")[0]
    assert [check for check in sorted(checks) if f"`{check}`" not in table] == []


def test_a_server_to_which_nothing_is_to_be_said() -> None:
    assert list(find_in_variables(MYSQL, "shard_0")) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"log_bin": "OFF"}, ("blocking", "binlog"), id="off"),
        pytest.param({"server_id": "0"}, ("blocking", "server_id"), id="server-id"),
        pytest.param(
            {"binlog_row_value_options": "PARTIAL_JSON"}, ("blocking", "partial_json"), id="E14"
        ),
        pytest.param(
            {"binlog_transaction_compression": "ON"}, ("note", "compression"), id="I02-payload"
        ),
        pytest.param({"binlog_row_metadata": "MINIMAL"}, ("note", "row_metadata"), id="E05"),
        pytest.param({"sync_binlog": "0"}, ("note", "sync_binlog"), id="sync"),
        pytest.param(
            {"max_binlog_total_size": "1000"}, ("warning", "retention_size"), id="by-size"
        ),
        pytest.param(
            {"rds: binlog retention hours": "0"}, ("warning", "retention"), id="aurora-default"
        ),
    ],
)
def test_a_variable_and_its_finding(change: dict[str, str], expected: tuple[str, str]) -> None:
    told = list(find_in_variables(MYSQL | change, "shard_0"))
    assert [(finding.severity, finding.check) for finding in told] == [expected]
    assert all(finding.problem.startswith("shard_0: ") for finding in told)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 2_592_000.0),
        ({"binlog_expire_logs_seconds": "0"}, None),
        ({"binlog_expire_logs_seconds": "0", "expire_logs_days": "2"}, 172_800.0),
        ({"binlog_expire_logs_auto_purge": "OFF"}, None),
        ({"rds: binlog retention hours": "24"}, 86_400.0),
    ],
)
def test_how_long_binlogs_are_kept(change: dict[str, str], expected: float | None) -> None:
    assert kept_seconds(MYSQL | change) == expected
