"""What the loader says to Redshift, as text: types, widths, and how a replica follows the lake."""

import pyarrow as pa
import pytest

from smug_platform.errors import SettingsError, WarehouseError
from smug_platform.lake.target import Target
from smug_platform.lake.types import SourceColumn
from smug_platform.settings_warehouse import redshift_settings
from smug_platform.tables.table import Table
from smug_platform.warehouse.redshift_evolve import Unfit, evolved
from smug_platform.warehouse.redshift_fit import fit
from smug_platform.warehouse.redshift_sql import layout, live_twice, merge
from smug_platform.warehouse.redshift_types import Column, columns, widens

PHOTOS = Target(Table(name="photos", domain="photos", owner="team:photos"))
ID, SHARD = Column("id", "BIGINT"), Column("_shard", "VARCHAR(256)")


@pytest.mark.parametrize(
    ("arrow", "declared", "kind"),
    [
        (pa.int32(), "INT", "INTEGER"),
        (pa.decimal128(20, 0), "BIGINT UNSIGNED", "DECIMAL(20,0)"),
        (pa.timestamp("us"), "DATETIME", "TIMESTAMP"),
        (pa.timestamp("us", "UTC"), "TIMESTAMP", "TIMESTAMPTZ"),
        (pa.string(), "JSON", "SUPER"),
        (pa.string(), "ENUM", "VARCHAR(1020)"),
        (pa.string(), "LONGTEXT", "VARCHAR(65535)"),
        (pa.string(), "GEOMETRY", "VARCHAR(65535)"),
        (pa.binary(), "LONGBLOB", "VARBYTE(1024000)"),
    ],
)
def test_types(arrow: pa.DataType, declared: str, kind: str) -> None:
    found = columns(pa.schema([("c", arrow)]), [SourceColumn("c", declared)])
    assert found == (Column("c", kind),)


def test_a_text_is_as_wide_as_the_widest_declaration_in_bytes() -> None:
    schema = pa.schema([("c", pa.string())])
    shards = [SourceColumn("c", "VARCHAR", 10), SourceColumn("c", "VARCHAR", 30)]
    assert columns(schema, shards) == (Column("c", "VARCHAR(120)"),)
    shards.append(SourceColumn("c", "VARCHAR", 60_000))
    assert columns(schema, shards) == (Column("c", "VARCHAR(65535)"),)
    mixed = [SourceColumn("c", "JSON"), SourceColumn("c", "LONGTEXT")]
    assert columns(schema, mixed) == (Column("c", "VARCHAR(65535)"),)


def test_a_type_without_a_place_is_refused() -> None:
    with pytest.raises(WarehouseError, match="which has no place in Redshift"):
        columns(pa.schema([("c", pa.list_(pa.int32()))]), [])


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [("INTEGER", "BIGINT"), ("REAL", "DOUBLE PRECISION"), ("DECIMAL(10,2)", "DECIMAL(12,4)")],
)
def test_widens_one_way(narrow: str, wide: str) -> None:
    assert widens(narrow, wide)
    assert not widens(wide, narrow)
    assert not widens(wide, wide)


def test_a_replica_follows_in_place() -> None:
    held = {"_shard": "VARCHAR(256)", "id": "BIGINT", "n": "INTEGER", "gone": "DATE"}
    wanted = [SHARD, ID, Column("n", "BIGINT"), Column("new", "SUPER")]
    held["title"], title = "VARCHAR(40)", Column("title", "VARCHAR(400)")
    wanted.append(title)  # which is longer already
    statements, types = evolved(PHOTOS, held, wanted, full=True)
    assert types.pop("title") == title.type
    assert statements == [
        'alter table warehouse."photos" add column "new" SUPER',
        'alter table warehouse."photos" add column "n__new" BIGINT',
        'update warehouse."photos" set "n__new" = cast("n" as BIGINT)',
        'alter table warehouse."photos" drop column "n"',
        'alter table warehouse."photos" rename column "n__new" to "n"',
        'alter table warehouse."photos" drop column "gone"',
    ]
    assert types == {"_shard": "VARCHAR(256)", "id": "BIGINT", "n": "BIGINT", "new": "SUPER"}
    assert evolved(PHOTOS, held, wanted, full=False)[1]["gone"] == "DATE"


def test_a_key_that_gets_wider_is_rebuilt_with_when_its_rows_were_loaded() -> None:
    held = {"_shard": "VARCHAR(256)", "id": "INTEGER"}
    statements, _ = evolved(PHOTOS, held, [SHARD, ID], full=False)
    assert any('cast("_loaded_at" as TIMESTAMPTZ)' in statement for statement in statements)
    assert statements[-1] == 'alter table warehouse."photos__new" rename to "photos"'


def test_what_fits_in_no_way_is_loaded_whole() -> None:
    held, wanted = {"id": "BIGINT", "exif": "SUPER"}, [ID, Column("exif", "VARCHAR(65535)")]
    with pytest.raises(Unfit, match=r"photos: exif: SUPER is VARCHAR\(65535\) now"):
        evolved(PHOTOS, held, wanted, full=False)
    statements, types = evolved(PHOTOS, held, wanted, full=True)
    assert statements == [
        'alter table warehouse."photos" drop column "exif"',
        'alter table warehouse."photos" add column "exif" VARCHAR(65535)',
    ]
    assert types == {"id": "BIGINT", "exif": "VARCHAR(65535)"}


@pytest.mark.parametrize("held", [{"id": "DATE"}, {"number": "BIGINT"}])
def test_a_key_of_another_type_or_name_comes_with_a_new_table(held: dict[str, str]) -> None:
    assert evolved(PHOTOS, held, [ID], full=True) == ([], {})


def test_rows_of_a_table_without_a_key_lie_evenly_and_may_be_live_twice() -> None:
    views = Target(
        Table(name="views", domain="photos", owner="team:photos", key=(), key_scope="shard")
    )
    assert layout(views) == 'diststyle even sortkey("_loaded_at")'
    assert live_twice(views, "rows", full=True) is None


def test_merge_is_as_redshift_has_it() -> None:
    assert merge(PHOTOS, [SHARD, ID]).splitlines() == [
        'merge into warehouse."photos" using smug_net on '
        '"photos"."_shard" = smug_net."_shard" and "photos"."id" = smug_net."id"',
        "when matched then update set",
        '  "_loaded_at" = smug_net."_loaded_at"',
        'when not matched then insert ("_shard", "id", "_loaded_at")',
        'values (smug_net."_shard", smug_net."id", smug_net."_loaded_at")',
    ]


def test_a_key_is_left_out_rather_than_cut() -> None:
    rows = pa.table({"name": ["fits", "longer"], "data": [b"12345", b"1"]})
    found = fit(rows, [Column("name", "VARCHAR(4)"), Column("data", "VARBYTE(4)")], ["name"])
    assert found.rows.num_rows == 0
    assert [(one.key, one.column, one.reason) for one in found.rejects] == [
        ("fits", "data", "it has 5 bytes, and 4 fit"),
        ("longer", "name", "it has 6 bytes, and 4 fit"),
    ]


@pytest.mark.parametrize("environ", [{}, {"SMUG_REDSHIFT_HOST": "h"}])
def test_where_redshift_is_has_to_be_said(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="SMUG_REDSHIFT_CLUSTER or SMUG_REDSHIFT_WORKGROUP"):
        redshift_settings(environ, region="r", scratch="s3://b/load").require_host()
