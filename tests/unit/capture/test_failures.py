import pytest

from smug_platform.capture.failures import (
    DAMAGED,
    INCIDENT,
    UNKNOWN,
    BinlogPurged,
    DamagedEvent,
    EventsLost,
    NeedsSnapshot,
    Refused,
    Renumbered,
    SchemaDrift,
    SourceUnavailable,
    UnknownEvent,
    UnreadableSchemaChange,
    classify,
)
from smug_platform.errors import SourceError

WRAPPED = "org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change"


@pytest.mark.parametrize(
    ("chain", "kind"),
    [
        pytest.param(
            [
                "io.debezium.DebeziumException: Error processing row in t, internal schema size 32,"
                " but row size 33 , restart connector with schema recovery mode."
            ],
            SchemaDrift,
            id="G24",
        ),
        pytest.param(
            ["Could not find first log file name in binary log index file Error code: 1236"],
            BinlogPurged,
            id="L01",
        ),
        pytest.param(["bogus data in log event; Error code: 1236"], Renumbered, id="L04"),
        pytest.param(
            ["Multiple parsing errors", "DDL statement couldn't be parsed. 'CREATE OR REPLACE'"],
            UnreadableSchemaChange,
            id="G12",
        ),
        pytest.param([f"the event that ends at 9 {DAMAGED}"], DamagedEvent, id="I07"),
        pytest.param([f"the event that ends at 9 {UNKNOWN}: 99"], UnknownEvent, id="I06"),
        pytest.param([f"the event that ends at 9 {INCIDENT}"], EventsLost, id="I05"),
        pytest.param(["could not find next log; the first event"], SourceUnavailable, id="reset"),
        pytest.param(["Access denied for user 'smug'@'%'"], Refused, id="L09"),
        pytest.param(["Communications link failure"], SourceUnavailable, id="L12"),
        pytest.param(
            ["Failed to establish connection with the database"], SourceUnavailable, id="down"
        ),
        pytest.param(["a new kind of trouble"], SourceError, id="unknown"),
        pytest.param([], SourceError, id="silent"),
    ],
)
def test_a_failure_has_a_name_and_one_line(chain: list[str], kind: type[SourceError]):
    error = classify("shard_0", [WRAPPED, *chain])
    assert type(error) is kind
    assert str(error).startswith("shard_0: ")
    assert "\n" not in str(error)
    assert error.remedy
    assert error.passes is issubclass(kind, SourceUnavailable | NeedsSnapshot)


def test_the_cause_comes_first_and_java_does_not_show():
    error = classify("s", [WRAPPED, "io.debezium.DebeziumException: a.b.C: the real cause"])
    assert str(error).startswith("s: capture stopped (the real cause")
    assert "debezium." not in str(error).replace("debezium.log", "")
