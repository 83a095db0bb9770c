-- JSON in VARCHAR, and SUPER.
create function rs.json(text) returns jsonb immutable language plpgsql as $$
begin
    return $1::jsonb;
exception when others then
    return null;
end
$$;
create function pg_catalog.is_valid_json(text) returns bool immutable strict language sql
as $$ select coalesce(jsonb_typeof(rs.json($1)) = 'object', false) $$;
create function pg_catalog.is_valid_json_array(text) returns bool immutable strict language sql
as $$ select coalesce(jsonb_typeof(rs.json($1)) = 'array', false) $$;
create function pg_catalog.can_json_parse(text) returns bool immutable strict language sql
as $$ select rs.json($1) is not null $$;

create function rs.json_at(given text, lenient bool, path text[]) returns text
immutable language plpgsql as $$
declare
    parsed jsonb := rs.json(given);
begin
    if parsed is null and given is not null and not lenient then
        raise exception 'JSON parsing error' using errcode = '22P02',
            detail = 'error: JSON parsing error code: 8001 context: invalid json object ' || given;
    end if;
    return parsed #>> path;
end
$$;
create function pg_catalog.json_extract_path_text(text, variadic text[]) returns text
immutable language sql as $$ select rs.json_at($1, false, $2) $$;
create function pg_catalog.json_extract_path_text(text, text, bool) returns text
immutable language sql as $$ select rs.json_at($1, $3, array[$2]) $$;
create function pg_catalog.json_extract_path_text(text, text, text, bool) returns text
immutable language sql as $$ select rs.json_at($1, $4, array[$2, $3]) $$;
create function pg_catalog.json_extract_path_text(text, text, text, text, bool) returns text
immutable language sql as $$ select rs.json_at($1, $5, array[$2, $3, $4]) $$;
create function pg_catalog.json_extract_array_element_text(text, int) returns text
immutable strict language sql as $$ select $1::jsonb ->> $2 $$;
create function pg_catalog.json_extract_array_element_text(text, int, bool) returns text
immutable language sql as $$ select case when $3 then rs.json($1) else $1::jsonb end ->> $2 $$;
create function pg_catalog.json_array_length(text) returns int immutable strict language sql
as $$ select jsonb_array_length($1::jsonb) $$;
create function pg_catalog.json_array_length(text, bool) returns int immutable language sql
as $$ select jsonb_array_length(case when $2 then rs.json($1) else $1::jsonb end) $$;

create function pg_catalog.json_parse(text) returns super immutable strict language sql
as $$ select $1::jsonb $$;
create function pg_catalog.rs_json_serialize(jsonb) returns text immutable strict language sql
as $$ select $1::text $$;
create function pg_catalog.json_typeof(jsonb) returns text immutable strict language sql
as $$ select jsonb_typeof($1) $$;
create function pg_catalog.get_array_length(jsonb) returns bigint immutable strict language sql
as $$ select case jsonb_typeof($1) when 'array' then jsonb_array_length($1) end $$;
create function pg_catalog.array_concat(jsonb, jsonb) returns jsonb immutable strict language sql
as $$ select $1 || $2 $$;
create function pg_catalog.split_to_array(text, text) returns jsonb immutable strict language sql
as $$ select to_jsonb(string_to_array($1, $2)) $$;
