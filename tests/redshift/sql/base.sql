-- Schemas, types and what the stand-in remembers. Run by a superuser, once, in the template.
set allow_system_table_mods = on;
set check_function_bodies = off;
set client_min_messages = warning;

create schema rs;
create schema rs_late; -- functions behind late-binding views
grant usage on schema rs to public;
grant usage, create on schema rs_late to public;
grant create on schema public to public;

create domain pg_catalog.super as jsonb;
create domain pg_catalog.varbyte as bytea;

create sequence rs.queries start 100;
grant usage on sequence rs.queries to public;

create table rs.tables (
    relation oid primary key,
    dist_style text not null,
    dist_key text,
    sort_style text,
    sort_keys text[] not null,
    auto_refresh boolean
);
create table rs.load_errors (
    userid int, slice int, tbl int, starttime timestamp, session int, query bigint, filename text,
    line_number bigint, colname text, type text, col_length text, "position" int, raw_line text,
    raw_field_value text, err_code int, err_reason text, message text
);
grant select, insert, update, delete on rs.tables to public;
grant select on rs.load_errors to public;
