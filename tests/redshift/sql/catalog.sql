-- PostgreSQL's catalog as Redshift shows it: late-binding views without columns, keys in
-- pg_attribute, types under Redshift's names.
create view rs.late_views as
select distinct rewrite.ev_class as relation
from pg_depend
join pg_rewrite as rewrite
    on rewrite.oid = pg_depend.objid and pg_depend.classid = 'pg_rewrite'::regclass
join pg_proc
    on pg_proc.oid = pg_depend.refobjid and pg_depend.refclassid = 'pg_proc'::regclass
where pg_proc.pronamespace = 'rs_late'::regnamespace;

create function rs.type_name(kind oid, modifier int) returns text stable language sql as $$
    select case format_type(kind, modifier)
        when 'jsonb' then 'super'
        when 'bytea' then 'varbyte'
        when 'text' then 'character varying(65535)'
        else format_type(kind, modifier)
    end
$$;
-- The same, with a length for a text whose own is unknown: Redshift would have found one.
create function pg_catalog.rs_format_type(kind oid, modifier int) returns text stable language sql as $$
    select case rs.type_name(kind, modifier)
        when 'character varying(65535)' then case modifier when 65539 then
            'character varying(65535)' else 'character varying(256)' end
        when 'character varying' then 'character varying(256)'
        when 'numeric' then 'numeric(38,10)'
        else rs.type_name(kind, modifier)
    end
$$;

create view rs.pg_attribute as
select
    a.*,
    coalesce(t.dist_key = a.attname, false) as attisdistkey,
    coalesce(array_position(t.sort_keys, a.attname::text), 0)
    * case when t.sort_style = 'INTERLEAVED' then -1 else 1 end as attsortkeyord
from pg_catalog.pg_attribute as a
left join rs.tables as t on t.relation = a.attrelid
where a.attrelid not in (select relation from rs.late_views);

create view rs.pg_class as
select
    oid, relname, relnamespace, reltype, relowner, relam, relfilenode, relpages, reltuples,
    relhasindex, relisshared, relkind, relnatts, relchecks, relhasrules, relacl
from pg_catalog.pg_class;

create view rs.pg_views as
select schemaname, viewname, viewowner, definition from pg_catalog.pg_views;

create view rs.information_views as
select
    table_catalog::text, table_schema::text, table_name::text, view_definition::text
from information_schema.views;

create view rs.columns as
select
    current_database()::text as table_catalog,
    n.nspname::text as table_schema,
    c.relname::text as table_name,
    a.attname::text as column_name,
    a.attnum::int as ordinal_position,
    pg_get_expr(d.adbin, d.adrelid)::text as column_default,
    case when a.attnotnull then 'NO' else 'YES' end as is_nullable,
    regexp_replace(k.name, '\([0-9,]+\)', '', 'g') as data_type,
    case when k.name ~ '^char' then substring(k.name from '\((\d+)')::int end
        as character_maximum_length,
    case
        when k.name ~ '^numeric' then substring(k.name from '\((\d+)')::int
        when a.atttypid = 21 then 16
        when a.atttypid = 23 then 32
        when a.atttypid = 20 then 64
    end as numeric_precision,
    case
        when k.name ~ '^numeric' then substring(k.name from ',(\d+)')::int
        when a.atttypid in (20, 21, 23) then 0
    end as numeric_scale,
    c.oid as relation,
    k.name as full_type,
    col_description(c.oid, a.attnum) as remarks
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
join pg_namespace as n on n.oid = c.relnamespace
left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum
cross join lateral rs_format_type(a.atttypid, a.atttypmod) as k (name)
where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and n.nspname not in ('rs', 'rs_late')
    and (pg_has_role(c.relowner, 'USAGE') or has_table_privilege(c.oid, 'SELECT'));

create view rs.visible_columns as
select * from rs.columns where relation not in (select relation from rs.late_views);

create view rs.relations as
select
    c.oid as relation,
    current_database()::text as database_name,
    n.nspname::text as schema_name,
    c.relname::text as table_name,
    case c.relkind when 'v' then 'VIEW' else 'TABLE' end as table_type,
    case
        when c.oid in (select relation from rs.late_views) then 'LATE BINDING VIEW'
        when c.relkind = 'v' then 'REGULAR VIEW'
        else 'REGULAR TABLE'
    end as table_subtype,
    array_to_string(c.relacl, '~') as table_acl,
    obj_description(c.oid, 'pg_class') as remarks,
    pg_get_userbyid(c.relowner)::text as owner,
    c.relkind = 'r' as is_table,
    c.relpersistence = 't' as is_temporary
from pg_catalog.pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'v') and n.nspname not in ('rs', 'rs_late')
    and n.nspname !~ '^pg_t';

create function pg_catalog.pg_get_late_binding_view_cols() returns setof record
stable language sql as $$
    select
        table_schema::name, table_name::name, column_name::name, full_type::varchar,
        ordinal_position
    from rs.columns where relation in (select relation from rs.late_views)
$$;
create function pg_catalog.current_user_id() returns int stable language sql
as $$ select usesysid::int from pg_user where usename = current_user $$;
