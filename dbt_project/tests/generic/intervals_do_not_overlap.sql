{#- Fails for each interval [valid_from, valid_to) that is empty or reaches into the next one of its
    key. -#}
{% test intervals_do_not_overlap(model, key) %}
with followed as (

    select
        {{ key }},
        valid_from,
        valid_to,
        lead(valid_from) over (partition by {{ key }} order by valid_from) as next_from
    from {{ model }}

)

select *
from followed
where
    valid_to <= valid_from
    or valid_to > next_from
    or (valid_to is null and next_from is not null)
{% endtest %}
