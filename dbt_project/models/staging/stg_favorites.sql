with source as (

    select * from {{ source('warehouse', 'favorites') }}

),

renamed as (

    select
        -- ids
        account_id,
        photo_id,
        _shard as source_shard,

        -- times
        created_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
