{#- Fails for each row in which the expression is false or null. -#}
{% test is_true(model, expression) %}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
