"""CREATE and ALTER TABLE: what is kept, held to, and let pass."""

from contextlib import closing

import pytest
from redshift_connector.error import ProgrammingError

from tests.redshift.connection import Redshift


def keys(redshift: Redshift, table: str) -> tuple[object, ...]:
    info = "select diststyle, sortkey1, sortkey_num from svv_table_info"
    return redshift.ask(f"""{info} where "table" = '{table}'""")[0]


@pytest.mark.parametrize(
    ("declared", "kept"),
    [
        ("(a int, b int) diststyle key distkey(b) sortkey(a, b)", ("KEY(b)", "a", 2)),
        ("(a int distkey sortkey, b int)", ("KEY(a)", "a", 1)),
        ("(a int, b int) diststyle all compound sortkey (b)", ("ALL", "b", 1)),
        ("(a int, b int) diststyle even", ("EVEN", "AUTO(SORTKEY)", 0)),
        ("(a int encode az64, b int encode raw)", ("AUTO(ALL)", "AUTO(SORTKEY)", 0)),
    ],
)
def test_dist_and_sort_keys(redshift_module: Redshift, declared: str, kept: object) -> None:
    redshift_module.ask("drop table if exists t")
    redshift_module.ask(f"create table t {declared}")
    redshift_module.ask("insert into t values (1, 2)")  # an empty table may not be listed
    assert keys(redshift_module, "t") == kept


def test_keys_of_create_table_as_and_like(redshift: Redshift) -> None:
    redshift.ask("create table a distkey(id) sortkey(at) as select 1 as id, getdate() as at")
    redshift.ask("create table b (like a)")
    redshift.ask("insert into b select * from a")
    assert keys(redshift, "a") == keys(redshift, "b") == ("KEY(id)", "at", 1)


def test_keys_follow_a_renamed_table(redshift: Redshift) -> None:
    redshift.ask("create table a (id int) distkey(id)")
    redshift.ask("insert into a values (1)")
    redshift.ask("alter table a rename to b")
    assert keys(redshift, "b")[0] == "KEY(id)"


def test_altered_keys(redshift: Redshift) -> None:
    redshift.ask("create table t (a int, b int) diststyle even")
    redshift.ask("insert into t values (1, 2)")
    redshift.ask("alter table t alter sortkey (b)")
    redshift.ask("alter table t alter distkey a")
    assert keys(redshift, "t") == ("KEY(a)", "b", 1)


@pytest.mark.parametrize(
    "declared",
    [
        "(a int) distkey(b)",
        "(a int) sortkey(b)",
        "(a int) diststyle key",
        "(a int) diststyle even distkey(a)",
        "(a int) diststyle sideways",
        "(a int check (a > 0))",
        "(a varchar(65536))",
        "(a numeric(39, 0))",
        "(a jsonb)",
        "(a uuid)",
        "(a int[])",
        "(a serial)",
        "(tag int)",
        "(timestamp timestamp)",
        "(a int) tablespace x",
    ],
)
def test_refused_table(redshift_module: Redshift, declared: str) -> None:
    with pytest.raises(ProgrammingError):
        redshift_module.ask(f"create table refused {declared}")


def test_keys_are_not_enforced_and_not_null_is(redshift: Redshift) -> None:
    redshift.ask("create table u (id int unique)")
    redshift.ask("create table t (id int references u(id), n int, primary key (id, n))")
    redshift.ask("insert into t values (1, 1), (1, 1)")
    assert redshift.ask("select count(*) from t") == [(2,)]
    with pytest.raises(ProgrammingError, match="null"):
        redshift.ask("insert into t values (1, null)")


def test_a_length_is_in_bytes(redshift: Redshift) -> None:
    redshift.ask("create table t (a varchar(4))")
    redshift.ask("insert into t values ('éé')")
    with pytest.raises(ProgrammingError, match="too long"):
        redshift.ask("insert into t values ('ééé')")


def test_blanks_are_cut_and_a_cast_cuts_all(redshift: Redshift) -> None:
    redshift.ask("create table t (a varchar(2))")
    redshift.ask("insert into t values ('ab   ')")
    redshift.ask("insert into t select cast('éé' as varchar(2))")
    assert redshift.ask("select a from t order by a") == [("ab",), ("é",)]
    with pytest.raises(ProgrammingError, match="too long"):
        redshift.ask("update t set a = a || 'x'")


def test_a_table_that_is_there_keeps_its_keys(redshift: Redshift) -> None:
    redshift.ask("create table t (a int, b int) distkey(a)")
    redshift.ask("insert into t values (1, 2)")
    redshift.ask("create table if not exists t (a int, b int) distkey(b) sortkey(b)")
    assert keys(redshift, "t") == ("KEY(a)", "AUTO(SORTKEY)", 0)


def test_a_length_is_held_to_in_a_copy_of_the_table(redshift: Redshift) -> None:
    redshift.ask("create table a (a varchar(4))")
    redshift.ask("create table b (like a)")
    with pytest.raises(ProgrammingError, match="too long"):
        redshift.ask("insert into b values ('ééé')")


def test_a_longer_column(redshift: Redshift) -> None:
    redshift.ask("create table t (a varchar(4))")
    redshift.ask("alter table t alter column a type varchar(6)")
    redshift.ask("insert into t values ('ééé')")
    with pytest.raises(ProgrammingError, match="too long"):
        redshift.ask("insert into t values ('éééé')")


def test_default_lengths(redshift: Redshift) -> None:
    redshift.ask("create table t (a varchar, b text, c char, d numeric, e character varying(max))")
    found = redshift.ask(
        "select column_name, data_type from svv_redshift_columns where table_name = 't' order by 1"
    )
    assert [kind for _, kind in found] == [
        "character varying(256)",
        "character varying(256)",
        "character(1)",
        "numeric(18,0)",
        "character varying(65535)",
    ]


def test_identity_and_default(redshift: Redshift) -> None:
    redshift.ask("create table t (id bigint identity(1, 1), a int default 7, b int)")
    redshift.ask("insert into t (b) values (1)")
    redshift.ask("insert into t (b) values (2)")
    found = redshift.ask("select id, a, b from t order by b")
    assert len({id_ for id_, _, _ in found}) == 2
    assert [rest for _, *rest in found] == [[7, 1], [7, 2]]


@pytest.mark.parametrize(
    "action",
    [
        "add column b int, add column c int",
        "alter column a set not null",
        "alter column a type bigint",
        "alter column a type varchar",
        "add column b int not null",
    ],
)
def test_refused_change(redshift_module: Redshift, action: str) -> None:
    redshift_module.ask("drop table if exists t")
    redshift_module.ask("create table t (a int)")
    with pytest.raises(ProgrammingError):
        redshift_module.ask(f"alter table t {action}")


def test_a_column_is_not_resized_in_a_transaction(redshift: Redshift) -> None:
    redshift.ask("create table t (a varchar(4))")
    with closing(redshift.connect(autocommit=False)) as connection:
        cursor = connection.cursor()
        cursor.execute("select 1")
        with pytest.raises(ProgrammingError, match="transaction block"):
            cursor.execute("alter table t alter column a type varchar(6)")


def test_added_and_dropped_columns(redshift: Redshift) -> None:
    redshift.ask("create table t (a int)")
    redshift.ask("insert into t values (1)")
    redshift.ask("alter table t add column b varchar(3) default 'x' encode zstd")
    redshift.ask("alter table t rename column a to c")
    assert redshift.ask("select c, b from t") == [(1, "x")]
    redshift.ask("alter table t drop column b")
    assert redshift.ask("select * from t") == [(1,)]


@pytest.mark.parametrize("key", ["distkey(a)", "sortkey(a)"])
def test_a_column_that_rows_lie_by_is_not_dropped(redshift: Redshift, key: str) -> None:
    redshift.ask(f"create table t (a int, b int) {key}")
    with pytest.raises(ProgrammingError, match="cannot drop sortkey or distkey column"):
        redshift.ask("alter table t drop column a")


def test_tables_change_places_within_a_transaction(redshift: Redshift) -> None:
    redshift.ask("create schema a")
    redshift.ask("create table a.t as select 1 as id")
    redshift.ask("create table a.t_new as select 2 as id")
    with closing(redshift.connect(autocommit=False)) as connection:
        cursor = connection.cursor()
        cursor.execute("alter table a.t rename to t_old")
        cursor.execute("alter table a.t_new rename to t")
        cursor.execute("drop table a.t_old")
        connection.commit()
    assert redshift.ask("select id from a.t") == [(2,)]
