{#- What DuckDB and Redshift say differently, and nothing else. Each macro is dispatched; an adapter
    without an answer of its own fails to compile. -#}

{#- The bytes as lower-case hexadecimal text. -#}
{% macro hex(bytes) -%}
    {{ return(adapter.dispatch('hex', 'smug')(bytes)) }}
{%- endmacro %}
{% macro duckdb__hex(bytes) -%} lower(hex({{ bytes }})) {%- endmacro %}
{% macro redshift__hex(bytes) -%} to_hex({{ bytes }}) {%- endmacro %}

{#- The text at a path of JSON text, e.g. json_text('exif', ['camera', 'model']); null if absent. -#}
{% macro json_text(json, path) -%}
    {{ return(adapter.dispatch('json_text', 'smug')(json, path)) }}
{%- endmacro %}
{% macro duckdb__json_text(json, path) -%}
    json_extract_string({{ json }}, '$.{{ path | join(".") }}')
{%- endmacro %}
{% macro redshift__json_text(json, path) -%}
    nullif(json_extract_path_text({{ json }}, '{{ path | join("', '") }}', true), '')
{%- endmacro %}

{#- The UTC wall clock of an instant, without a zone. -#}
{% macro utc(instant) -%}
    {{ return(adapter.dispatch('utc', 'smug')(instant)) }}
{%- endmacro %}
{% macro duckdb__utc(instant) -%} cast({{ instant }} at time zone 'UTC' as timestamp) {%- endmacro %}
{% macro redshift__utc(instant) -%} cast({{ instant }} at time zone 'UTC' as timestamp) {%- endmacro %}

{#- When the transaction began, as UTC without a zone. -#}
{% macro now() -%}
    {{ return(adapter.dispatch('now', 'smug')()) }}
{%- endmacro %}
{% macro duckdb__now() -%} cast(now() at time zone 'UTC' as timestamp) {%- endmacro %}
{% macro redshift__now() -%} sysdate {%- endmacro %}
