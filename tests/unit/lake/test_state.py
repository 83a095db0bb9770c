"""How a table's state follows the schema changes of its shards."""

from typing import Any

import pytest

from smug_platform.capture.change import CHANGED
from smug_platform.errors import LakeError
from smug_platform.lake.state import Fill, State, evolve, truncate
from smug_platform.lake.types import SourceColumn
from smug_platform.tables.table import Table
from tests.history import column

ACCOUNTS = Table(
    name="accounts", domain="accounts", owner="team:accounts", excluded=("password_hash",)
)
ID = column("id", "BIGINT UNSIGNED", optional=False)


def event(kind: str, columns: list[dict[str, Any]] | None, ddl: str = "") -> dict[str, Any]:
    table = columns and {"columns": [c | {"position": n} for n, c in enumerate(columns, start=1)]}
    change = {"type": kind, "id": '"flickr"."accounts"', "table": table}
    return {"ddl": ddl, "source": {"ts_ms": 1_700_000_000_999}, "tableChanges": [change]}


def created(*columns: dict[str, Any], position: int = 10) -> State:
    return evolve(State(), ACCOUNTS, "shard_0", position, event("CREATE", [ID, *columns]))


def altered(state: State, ddl: str, *columns: dict[str, Any], position: int = 20) -> State:
    return evolve(state, ACCOUNTS, "shard_0", position, event("ALTER", [ID, *columns], ddl))


def test_create_sets_schema_and_floor() -> None:
    state = created(column("password_hash", "BINARY"))
    assert [c.name for c in state.columns()] == ["id"]  # the excluded column never gets in
    assert state.floors == {"shard_0": 10}


def test_state_survives_its_own_text() -> None:
    state = altered(
        created(column("n", "INT")), "CHANGE n m INT", column("m", "INT"), position=10**37
    )
    state = truncate(state, "shard_1", 10**37 + 1)
    assert State.from_json(state.to_json()) == state


@pytest.mark.parametrize(
    ("new", "value"),
    [
        pytest.param(column("x", "INT", defaultValueExpression="5"), "5", id="G02-number"),
        pytest.param(column("x", "VARCHAR", defaultValueExpression="zz"), "zz", id="G02-text"),
        pytest.param(column("x", "INT", optional=False), "0", id="G02-implicit-zero"),
        pytest.param(column("x", "VARCHAR", optional=False), "", id="G02-implicit-empty"),
        pytest.param(
            column("x", "ENUM", optional=False, enumValues=["'a'", "'b'"]), "a", id="G02-enum"
        ),
        pytest.param(
            column("x", "TIMESTAMP", defaultValueExpression="CURRENT_TIMESTAMP"),
            "2023-11-14T22:13:20+00:00",
            id="G02-now",
        ),
    ],
)
def test_added_default_fills_the_rows_before(new: dict[str, Any], value: str) -> None:
    state = altered(created(), "ADD COLUMN x ...", new)
    assert state.fills == (Fill("shard_0", "x", 20, value),)


def test_added_nullable_column_fills_nothing() -> None:
    assert altered(created(), "ADD COLUMN x INT", column("x", "INT")).fills == ()


def test_default_that_is_not_in_the_binlog_halts_the_table() -> None:
    new = column("x", "DATETIME", length=6, defaultValueExpression="CURRENT_TIMESTAMP")
    with pytest.raises(LakeError, match="new snapshot"):
        altered(created(), "ADD COLUMN x DATETIME(6) DEFAULT CURRENT_TIMESTAMP", new)


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param("x CHAR(36) DEFAULT (uuid())", id="E21-expression"),
        pytest.param("`x` CHAR(36) DEFAULT uuid() COMMENT 'a, b'", id="E21-function"),
        pytest.param("COLUMN IF NOT EXISTS x INT NOT NULL AUTO_INCREMENT UNIQUE", id="counted"),
        pytest.param('(y INT DEFAULT 5, "x" INT AS (id * 2) STORED)', id="generated"),
    ],
)
def test_values_that_the_server_makes_row_by_row_halt_the_table(definition: str) -> None:
    with pytest.raises(LakeError, match=r"not in the binlog.*new snapshot"):
        altered(created(), f"ALTER TABLE accounts ADD {definition}", column("x", "INT"))


def test_what_another_column_is_made_of_does_not_concern_a_plain_one() -> None:
    ddl = "ALTER TABLE accounts ADD y CHAR(36) DEFAULT (concat('x ', uuid())), ADD x INT AFTER y"
    assert (
        altered(created(column("y", "INT")), ddl, column("y", "INT"), column("x", "INT")).fills
        == ()
    )


@pytest.mark.parametrize(
    "ddl",
    [
        "ALTER TABLE accounts RENAME COLUMN `n` TO m",
        "ALTER TABLE accounts CHANGE COLUMN n `m` INT",
        "alter table accounts change n m int",
    ],
)
def test_rename_is_one_column(ddl: str) -> None:
    state = altered(created(column("n", "INT")), ddl, column("m", "INT"))
    assert state.aliases == {"n": "m"}
    assert state.fills == ()
    assert [c.name for c in state.columns()] == ["id", "m"]


def test_drop_and_add_is_no_rename() -> None:
    ddl = "ALTER TABLE accounts DROP COLUMN n, ADD COLUMN m INT"
    assert altered(created(column("n", "INT")), ddl, column("m", "INT")).aliases == {}


def test_shards_that_differ_make_a_union() -> None:
    state = created(column("n", "INT"))
    other = event("CREATE", [ID, column("x", "INT")])
    state = evolve(state, ACCOUNTS, "shard_1", 7, other)
    assert [c.name for c in state.columns()] == ["id", "n", "x"]


def test_late_copy_of_a_schema_change_changes_nothing() -> None:
    state = altered(created(), "ADD COLUMN x INT DEFAULT 5", column("x", "INT"))
    assert evolve(state, ACCOUNTS, "shard_0", 10, event("CREATE", [ID])) == state


def test_I03_rows_that_a_statement_changed_are_missed_until_the_table_is_read_anew() -> None:
    told = event(CHANGED, None, "UPDATE accounts\nSET name = '?'")
    with pytest.raises(LakeError, match=r"rows of shard_0, .* `UPDATE accounts SET name = '\?'`"):
        evolve(created(), ACCOUNTS, "shard_0", 20, told)
    anew = created(position=30)
    assert evolve(anew, ACCOUNTS, "shard_0", 20, told) == anew


def test_other_tables_do_not_concern_it() -> None:
    foreign = event("CREATE", [ID])
    foreign["tableChanges"][0]["id"] = '"flickr"."photos"'
    assert evolve(State(), ACCOUNTS, "shard_0", 10, foreign) == State()


def test_earlier_truncate_does_not_lower_the_floor() -> None:
    assert truncate(truncate(State(), "s", 9), "s", 5).floors == {"s": 9}


def test_columns_of_one_name_and_two_types_come_twice() -> None:
    state = created(column("n", "INT"))
    state = evolve(state, ACCOUNTS, "shard_1", 7, event("CREATE", [ID, column("n", "BIGINT")]))
    assert [c for c in state.columns() if c.name == "n"] == [
        SourceColumn("n", "INT"),
        SourceColumn("n", "BIGINT"),
    ]


HOUR = 3_600_000


def on(
    shard: str, state: State, number: int, *columns: dict[str, Any], kind: str = "ALTER"
) -> State:
    """The state after a change of a shard's schema, `number` hours after the first."""
    change = event(kind, [ID, *columns])
    change["source"]["ts_ms"] = number * HOUR
    return evolve(state, ACCOUNTS, shard, number, change)


@pytest.fixture
def three() -> State:
    """Three shards with a column each, the same."""
    state = State()
    for number, shard in enumerate(("a", "b", "c"), start=1):
        state = on(shard, state, number, column("n", "INT"), kind="CREATE")
    return state


def test_a_shard_is_behind_until_the_alter_reaches_it(three: State) -> None:
    n, mood, x = column("n", "INT"), column("mood", "INT"), column("x", "INT")
    assert three.behind == {}
    state = on("a", three, 4, n, mood)
    assert state.behind == {"b": {"mood": 4 * HOUR}, "c": {"mood": 4 * HOUR}}
    state = on("b", state, 5, n, mood, x)
    assert state.behind == {"a": {"x": 5 * HOUR}, "c": {"mood": 4 * HOUR, "x": 5 * HOUR}}
    assert State.from_json(state.to_json()) == state
    for shard in ("a", "c"):
        state = on(shard, state, 6, n, mood, x)
    assert state.behind == {}


def test_another_type_and_a_drop_count_and_reading_a_shard_anew_does_not(three: State) -> None:
    wide, n = column("n", "BIGINT"), column("n", "INT")
    state = on("a", three, 4, wide)
    assert state.behind == {"b": {"n": 4 * HOUR}, "c": {"n": 4 * HOUR}}
    state = on("b", state, 5, wide)
    state = on("c", state, 6, n, kind="CREATE")
    assert state.behind == {"c": {"n": 4 * HOUR}}
    state = on("a", state, 7)
    assert state.behind == {"a": {"n": 7 * HOUR}, "c": {"n": 4 * HOUR}}


def test_a_column_that_was_renamed_is_not_missed_under_its_old_name(three: State) -> None:
    change = event("ALTER", [ID, column("m", "INT")], "ALTER TABLE accounts CHANGE n m INT")
    state = evolve(three, ACCOUNTS, "a", 4, change)
    assert {shard: list(columns) for shard, columns in state.behind.items()} == {
        "b": ["m"],
        "c": ["m"],
    }
