-- SHOW DATABASES, SCHEMAS, TABLES and COLUMNS, which the proxy turns into these.
create function rs.show_databases() returns table (
    database_name text, database_owner int, database_type text, database_acl text,
    parameters text, database_isolation_level text
) stable language sql as $$
    select datname::text, datdba::int, 'local', array_to_string(datacl, '~'), null,
        'Snapshot Isolation'
    from pg_database where not datistemplate
$$;
create function rs.show_schemas(base text, pattern text) returns table (
    database_name text, schema_name text, schema_owner int, schema_type text, schema_acl text,
    source_database text, schema_option text
) stable language sql as $$
    select database_name, schema_name, schema_owner, schema_type, schema_acl, null, schema_option
    from svv_redshift_schemas
    where database_name = base and schema_name like pattern
    order by schema_name
$$;
create function rs.show_tables(base text, sch text, pattern text) returns table (
    database_name text, schema_name text, table_name text, table_type text, table_acl text,
    remarks text, owner text, last_altered_time timestamp, last_modified_time timestamp,
    dist_style text, table_subtype text
) stable language plpgsql as $$
begin
    if not exists (select from pg_namespace where nspname = sch) then
        raise exception 'Schema "%" does not exist', sch using errcode = '3F000';
    end if;
    return query
    select
        r.database_name, r.schema_name, r.table_name, r.table_type, r.table_acl, r.remarks, r.owner,
        null::timestamp, case when r.is_table then rs.last_write(r.relation) end, t.dist_style,
        r.table_subtype
    from rs.relations as r left join rs.tables as t using (relation)
    where r.database_name = base and r.schema_name = sch and r.table_name like pattern
        and not r.is_temporary
    order by r.table_name;
end
$$;
create function rs.show_columns(base text, sch text, tab text, pattern text) returns table (
    database_name text, schema_name text, table_name text, column_name text, ordinal_position int,
    column_default text, is_nullable text, data_type text, character_maximum_length int,
    numeric_precision int, numeric_scale int, remarks text, sort_key_type text, sort_key int,
    dist_key int, encoding text, "collation" text
) stable language sql as $$
    select
        c.table_catalog, c.table_schema, c.table_name, c.column_name, c.ordinal_position,
        c.column_default, c.is_nullable, c.data_type, c.character_maximum_length,
        c.numeric_precision, c.numeric_scale, c.remarks, t.sort_style,
        coalesce(array_position(t.sort_keys, c.column_name), 0),
        coalesce(t.dist_key = c.column_name, false)::int, 'none', null
    from rs.columns as c left join rs.tables as t using (relation)
    where c.table_catalog = base and c.table_schema = sch and c.table_name = tab
        and c.column_name like pattern
    order by c.ordinal_position
$$;

grant select on all tables in schema rs to public;
do $$
declare
    name text;
begin
    for name in
        select viewname from pg_catalog.pg_views
        where schemaname = 'pg_catalog' and viewname ~ '^(svv|stv|stl|sys)_|^pg_table_def'
    loop
        execute format('grant select on pg_catalog.%I to public', name);
    end loop;
end
$$;
