{#- Division that is the same on both engines (7 / 2 is 3.5 in DuckDB and 3 in Redshift): a double,
    null when the divisor is zero. -#}
{% macro ratio(dividend, divisor) -%}
    cast({{ dividend }} as double precision) / nullif(cast({{ divisor }} as double precision), 0)
{%- endmacro %}

{#- True when a MySQL SET, which comes as comma-separated text, holds a member. -#}
{% macro set_has(members, member) -%}
    (',' || {{ members }} || ',' like '%,{{ member }},%')
{%- endmacro %}
