{#- A query of the whole numbers n = 0 .. count - 1; count is at most 1000. -#}
{% macro numbers(count) -%}
select cast(hundreds.d * 100 + tens.d * 10 + ones.d as integer) as n
    from ({{ digits() }}) as ones
    cross join ({{ digits() }}) as tens
    cross join ({{ digits() }}) as hundreds
    where hundreds.d * 100 + tens.d * 10 + ones.d < {{ count }}
{%- endmacro %}

{% macro digits() -%}
    {% for d in range(10) %}select {{ d }} as d{{ ' union all ' if not loop.last }}{% endfor %}
{%- endmacro %}
