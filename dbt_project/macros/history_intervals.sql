{#- Intervals of a slowly changing dimension (type 2) from a table's change history.

    history: relation with source_shard, source_position, source_committed_at and is_deleted;
    key: the entity's id, unique over all shards; tracked: the columns whose change makes a version.

    Changes are ordered by position within a shard; the commit times only join the shards, and are
    made to rise with the position first, since clocks may step back. Late and repeated changes are
    harmless: the last change of an instant counts, and a change that leaves the tracked columns as
    they were makes no version. A delete ends the entity only if the entity lives on no other shard
    before or after it: otherwise the row was moved, in whichever order its two events came. So the
    intervals of an entity never overlap, and touch unless it was deleted in between.

    Texts are compared whole: 65535 bytes is what a column of Redshift can hold, and a narrower cast
    would cut them there. Where a column to order by can be null, NULLS LAST is written out: in a
    descending order Redshift would put nulls first and DuckDB last.
-#}
{% macro history_intervals(history, key, tracked) -%}
with changes as (

    select
        {{ key }},
        source_shard,
        source_position,
        is_deleted,
        {%- for column in tracked %}
        {{ column }},
        {%- endfor %}
        max(source_committed_at) over (
            partition by {{ key }}, source_shard
            order by source_position
            rows between unbounded preceding and current row
        ) as changed_at,
        case
            when is_deleted then 'deleted'
            else md5(
                {%- for column in tracked %}
                {{ "|| '|' || " if not loop.first }}coalesce(md5(cast({{ column }} as varchar(65535))), '')
                {%- endfor %}
            )
        end as version_hash
    from {{ history }}

),

ranked as (

    select
        changes.*,
        row_number() over (
            partition by {{ key }}, source_shard, changed_at
            order by source_position desc nulls last
        ) as from_last
    from changes

),

numbered as (

    select
        ranked.*,
        row_number() over (
            partition by {{ key }}
            order by changed_at, case when is_deleted then 0 else 1 end, source_shard
        ) as change_number
    from ranked
    where from_last = 1

),

neighbours as (

    select
        numbered.*,
        max(case when not is_deleted then change_number end) over (
            partition by {{ key }} order by change_number
            rows between unbounded preceding and current row
        ) as live_before,
        min(case when not is_deleted then change_number end) over (
            partition by {{ key }} order by change_number
            rows between current row and unbounded following
        ) as live_after
    from numbered

),

effective as (

    select neighbours.*
    from neighbours
    left join numbered as earlier
        on neighbours.{{ key }} = earlier.{{ key }}
        and neighbours.live_before = earlier.change_number
    left join numbered as later
        on neighbours.{{ key }} = later.{{ key }}
        and neighbours.live_after = later.change_number
    where
        not neighbours.is_deleted
        or (
            neighbours.source_shard = earlier.source_shard
            and neighbours.source_shard = coalesce(later.source_shard, neighbours.source_shard)
        )

),

compared as (

    select
        effective.*,
        lag(version_hash) over (partition by {{ key }} order by change_number) as previous_hash
    from effective

),

bounded as (

    select
        compared.*,
        lead(changed_at) over (partition by {{ key }} order by change_number) as next_at
    from compared
    where previous_hash is null or previous_hash <> version_hash

)

select
    {{ key }},
    source_shard,
    {%- for column in tracked %}
    {{ column }},
    {%- endfor %}
    row_number() over (partition by {{ key }} order by change_number) as version_number,
    next_at is null as is_current,
    changed_at as valid_from,
    next_at as valid_to
from bounded
where not is_deleted and (next_at is null or next_at > changed_at)
{%- endmacro %}
