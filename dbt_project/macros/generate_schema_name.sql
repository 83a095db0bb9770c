{#- A layer's schema is named as the layer, on every target: staging, intermediate, marts, bi. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema if custom_schema_name is none else custom_schema_name | trim }}
{%- endmacro %}
