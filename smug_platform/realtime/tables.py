"""The tables of the live numbers, in SQLite.

`windows` is what readers ask: a row a metric, minute, source shard, operation and currency. A
value is stored by lane of the stream too, for what a TRUNCATE or a new snapshot takes away comes
through each lane in its own time.
"""

VERSION = 2
PROVISIONAL = """
create table provisional (
    metric text, shard text, lane text, after_rows integer, currency text, minute integer,
    changes integer not null, value integer not null, late integer not null,
    primary key (metric, shard, lane, currency, minute)
) without rowid;
"""
"""What of `minutes` and `days` the rows count for that a lane has had of the last piece of a table,
as long as that piece may come again; the piece begins after so many rows of the table.
"""
SCHEMA = f"""{PROVISIONAL}
create table meta (name text primary key, value text not null) without rowid;
create table lanes (
    shard text, lane text, mark text not null, seen blob not null, primary key (shard, lane)
) without rowid;
create table states (table_name text primary key, state text not null) without rowid;
create table held (
    table_name text, shard text, lane text, key text, effects text not null,
    primary key (table_name, shard, lane, key)
) without rowid;
create table minutes (
    metric text, shard text, lane text, op text, currency text, minute integer,
    changes integer not null, value integer not null, late integer not null,
    primary key (minute, metric, shard, lane, op, currency)
) without rowid;
create table days (
    metric text, shard text, lane text, currency text, day integer, value integer not null,
    primary key (metric, shard, lane, currency, day)
) without rowid;
create table records (
    record integer primary key, stream_shard text not null, sequence text not null,
    counted_at real not null
);
create table history (
    record integer, metric text, currency text, day integer, value integer not null,
    primary key (record, metric, currency, day)
) without rowid;
create table forgotten (
    metric text, stream_shard text, sequence text not null, primary key (metric, stream_shard)
) without rowid;
create table refused (
    id text primary key, stage text not null, table_name text, shard text, place text not null,
    reason text not null, refused_at real not null
);
create table delays (
    minute integer, bucket integer, changes integer not null, primary key (minute, bucket)
) without rowid;
create view windows as
select metric, datetime(minute * 60, 'unixepoch') as window_start, shard, op, currency,
       sum(changes) as changes, sum(value) as value, sum(late) as late_changes,
       (minute + 1) * 60000000 <= (select cast(value as integer) from meta
                                   where name = 'watermark') as is_closed
from minutes group by minute, metric, shard, op, currency;
"""
LATER = {1: PROVISIONAL}
"""What makes one of the next version of a file of each older one."""
