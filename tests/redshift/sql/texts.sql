-- Text, number and hash functions that PostgreSQL lacks.
create function pg_catalog.len(text) returns int immutable strict language sql
as $$ select length($1) $$;
create function pg_catalog.charindex(text, text) returns int immutable strict language sql
as $$ select strpos($2, $1) $$;
create function pg_catalog.replicate(text, int) returns text immutable strict language sql
as $$ select repeat($1, $2) $$;
create function pg_catalog.round(float8, int) returns float8 immutable strict language sql
as $$ select round($1::numeric, $2)::float8 $$;
create function pg_catalog.sha2(text, int) returns text immutable strict language sql as $$
    select encode(case $2
        when 224 then sha224(convert_to($1, 'UTF8'))
        when 384 then sha384(convert_to($1, 'UTF8'))
        when 512 then sha512(convert_to($1, 'UTF8'))
        else sha256(convert_to($1, 'UTF8'))
    end, 'hex')
$$;
create function pg_catalog.strtol(text, int) returns bigint immutable strict language plpgsql as $$
declare
    found bigint := 0;
    digit text;
begin
    foreach digit in array string_to_array(lower($1), null) loop
        found := found * $2 + strpos('0123456789abcdefghijklmnopqrstuvwxyz', digit) - 1;
    end loop;
    return found;
end
$$;
create function pg_catalog.to_hex(pg_catalog.varbyte) returns text immutable strict language sql
as $$ select encode($1, 'hex') $$;
