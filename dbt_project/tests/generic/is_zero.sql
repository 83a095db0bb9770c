{#- Fails for each row in which the column is anything but zero. -#}
{% test is_zero(model, column_name) %}
select {{ column_name }}
from {{ model }}
where coalesce({{ column_name }}, 1) <> 0
{% endtest %}
