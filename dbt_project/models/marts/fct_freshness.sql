{#- A few rows a shard, so a copy on every node; read whole. -#}
{{ config(dist='all', sort='source_shard') }}

with newest as (

    select * from {{ ref('stg_newest_changes') }}

),

shards as (

    select
        source_shard,
        max(source_committed_at) as newest_at
    from newest
    group by source_shard

),

measured as (

    select
        source_shard,
        newest_at,
        {{ datediff('newest_at', 'max(newest_at) over ()', 'second') }} as behind_seconds
    from shards

)

select
    cast(newest.table_name as varchar(128)) as table_name,
    cast(newest.source_shard as varchar(128)) as source_shard,
    newest.source_committed_at as committed_at,
    measured.newest_at as shard_committed_at,
    cast(measured.behind_seconds as bigint) as shard_behind_seconds,
    measured.behind_seconds > 300 as is_shard_behind
from newest
inner join measured on newest.source_shard = measured.source_shard
