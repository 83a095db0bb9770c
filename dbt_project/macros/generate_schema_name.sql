{#- A layer's schema is named as the layer (staging, intermediate, marts, bi) in DuckDB, and on Redshift
    in staging and prod. Elsewhere it begins with the profile's schema, so that what an analyst
    builds from a laptop stands beside what dashboards read, and not in its place. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set environment = var('environment', env_var('SMUG_ENV', 'local')) -%}
    {%- if custom_schema_name is none -%}
        {{ target.schema }}
    {%- elif target.type == 'duckdb' or environment in ('staging', 'prod') -%}
        {{ custom_schema_name | trim }}
    {%- else -%}
        {{ target.schema }}_{{ custom_schema_name | trim }}
    {%- endif -%}
{%- endmacro %}
