with source as (

    select * from {{ source('warehouse', 'accounts_history') }}

),

renamed as (

    select
        -- ids
        id as account_id,
        _shard as source_shard,
        _position as source_position,

        -- dimensions
        screen_name,
        country,
        city,
        plan,
        flags,
        _is_deleted as is_deleted,

        -- measures
        storage_bytes,

        -- times
        created_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source

)

select * from renamed
