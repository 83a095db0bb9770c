{#- Keeps the rows that are live: a replica also holds deleted ones, and the old copies of rows
    that were moved to another shard. -#}
{% macro live_rows() -%}
    where not _is_deleted
{%- endmacro %}
