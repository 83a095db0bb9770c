-- SVV, STL and SYS views, with the columns that dbt-redshift and loaders read.
create view pg_catalog.svv_table_info as
select
    r.database_name as "database",
    r.schema_name as "schema",
    r.relation as table_id,
    r.table_name as "table",
    'Y'::text as encoded,
    case t.dist_style
        when 'KEY' then 'KEY(' || t.dist_key || ')'
        when 'EVEN' then 'EVEN'
        when 'ALL' then 'ALL'
        else 'AUTO(ALL)'
    end as diststyle,
    case
        when t.sort_keys = '{}' or t.sort_keys is null then 'AUTO(SORTKEY)'
        when t.sort_style = 'INTERLEAVED' then 'INTERLEAVED'
        else t.sort_keys[1]
    end as sortkey1,
    256 as max_varchar,
    'none'::text as sortkey1_enc,
    coalesce(cardinality(t.sort_keys), 0) as sortkey_num,
    (pg_relation_size(r.relation) / 1048576 + 1)::bigint as size,
    0.0001::numeric(10, 4) as pct_used,
    0::bigint as empty,
    0.00::numeric(5, 2) as unsorted,
    0.00::numeric(5, 2) as stats_off,
    greatest(c.reltuples, 0)::numeric(38, 0) as tbl_rows,
    null::numeric(19, 2) as skew_sortkey1,
    null::numeric(19, 2) as skew_rows,
    greatest(c.reltuples, 0)::numeric(38, 0) as estimated_visible_rows,
    null::text as risk_event,
    false as vacuum_sort_benefit
from rs.relations as r
join pg_catalog.pg_class as c on c.oid = r.relation
left join rs.tables as t on t.relation = r.relation
where r.is_table and not r.is_temporary
    and r.schema_name not in ('pg_catalog', 'information_schema');

create view pg_catalog.svv_redshift_columns as
select
    c.table_catalog as database_name,
    c.table_schema as schema_name,
    c.table_name,
    c.column_name,
    c.ordinal_position,
    c.full_type as data_type,
    c.column_default,
    c.is_nullable,
    'none'::text as encoding,
    coalesce(t.dist_key = c.column_name, false) as distkey,
    coalesce(array_position(t.sort_keys, c.column_name), 0) as sortkey,
    null::text as column_acl,
    c.remarks
from rs.columns as c
left join rs.tables as t on t.relation = c.relation
where c.table_schema not in ('rs', 'rs_late');

create view pg_catalog.svv_all_columns as
select
    database_name, schema_name, table_name, column_name, ordinal_position, column_default,
    is_nullable, data_type, remarks
from pg_catalog.svv_redshift_columns;
create view pg_catalog.svv_columns as
select
    table_catalog, table_schema, table_name, column_name, ordinal_position, column_default,
    is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale, remarks
from rs.columns where table_schema not in ('rs', 'rs_late');

create view pg_catalog.svv_redshift_tables as
select
    database_name, schema_name, table_name, table_type, table_acl, remarks, owner as table_owner
from rs.relations;
create view pg_catalog.svv_all_tables as
select database_name, schema_name, table_name, table_acl, table_type, remarks from rs.relations;
create view pg_catalog.svv_tables as
select
    database_name as table_catalog,
    schema_name as table_schema,
    table_name,
    case table_type when 'TABLE' then 'BASE TABLE' else table_type end as table_type,
    remarks
from rs.relations;
create view pg_catalog.svv_redshift_schemas as
select
    current_database()::text as database_name,
    nspname::text as schema_name,
    nspowner::int as schema_owner,
    'local'::text as schema_type,
    array_to_string(nspacl, '~') as schema_acl,
    null::text as schema_option
from pg_namespace where nspname not in ('rs', 'rs_late');
create view pg_catalog.svv_all_schemas as
select *, null::text as source_database from pg_catalog.svv_redshift_schemas;

-- There is nothing outside the database, and no materialized view.
create view pg_catalog.svv_external_columns as
select
    ''::text as schemaname, ''::text as tablename, ''::text as columnname,
    ''::text as external_type, 0 as columnnum, 0 as part_key, ''::text as is_nullable
where false;
create view pg_catalog.svv_external_tables as
select ''::text as schemaname, ''::text as tablename, ''::text as location where false;
create view pg_catalog.svv_external_schemas as
select
    0 as esoid, 0 as eskind, ''::text as schemaname, 0 as esowner, ''::text as databasename,
    ''::text as esoptions
where false;
create view pg_catalog.svv_mv_info as
select
    ''::text as database_name, ''::text as schema_name, ''::text as user_name, ''::text as name,
    ''::text as is_stale, 0 as state, ''::text as autorefresh, ''::text as autorewrite
where false;
create view pg_catalog.stv_mv_info as
select
    ''::text as db_name, ''::text as "schema", ''::text as name, 0 as updated_upto_xid,
    ''::text as is_stale, ''::text as owner_user_name, 0 as state, ''::text as autorewrite,
    ''::text as autorefresh
where false;

create view pg_catalog.svv_relation_privileges as
select
    n.nspname::text as namespace_name,
    c.relname::text as relation_name,
    x.privilege_type,
    x.grantee as identity_id,
    coalesce(u.rolname::text, 'public') as identity_name,
    case
        when x.grantee = 0 then 'public'
        when u.rolcanlogin then 'user'
        else coalesce(shobj_description(u.oid, 'pg_authid'), 'group')
    end as identity_type,
    x.is_grantable as admin_option
from pg_catalog.pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as x
left join pg_roles as u on u.oid = x.grantee
where c.relkind in ('r', 'v');

create view pg_catalog.pg_table_def as
select
    c.schema_name::name as schemaname,
    c.table_name::name as tablename,
    c.column_name::name as "column",
    c.data_type as type,
    c.encoding,
    c.distkey,
    c.sortkey,
    c.is_nullable = 'NO' as "notnull"
from pg_catalog.svv_redshift_columns as c
join rs.relations as r using (schema_name, table_name)
where r.is_table and c.schema_name = any (current_schemas(false));

create view pg_catalog.stl_load_errors as
select
    userid, slice, tbl, starttime, session, query, filename, line_number, colname, type, col_length,
    "position", raw_line, raw_field_value, err_code, err_reason
from rs.load_errors;
create view pg_catalog.sys_load_error_detail as
select
    userid as user_id, query as query_id, current_database()::text as database_name, session as session_id,
    starttime as start_time, tbl as table_id, filename as file_name, line_number, colname as column_name,
    type as column_type, col_length as column_length, "position", raw_line, raw_field_value,
    err_code as error_code, message as error_message
from rs.load_errors;

-- The last write of a table, for freshness by metadata.
create function rs.last_write(relation oid) returns timestamp stable language plpgsql as $$
declare
    found timestamptz;
begin
    execute format(
        'select max(pg_xact_commit_timestamp(xmin)) from %s', relation::regclass
    ) into found;
    return found::timestamp;
exception when others then
    return null;
end
$$;
create view pg_catalog.sys_query_detail as
select
    relation as table_id,
    'insert'::text as step_name,
    rs.last_write(relation) as start_time,
    rs.last_write(relation) as end_time
from rs.relations
where is_table and schema_name not in ('pg_catalog', 'information_schema');
