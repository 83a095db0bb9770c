with freshness as (

    select * from {{ ref('fct_freshness') }}

)

select
    table_name,
    source_shard,
    committed_at,
    shard_committed_at,
    shard_behind_seconds,
    is_shard_behind
from freshness
