with source as (

    select * from {{ source('warehouse', 'subscriptions_history') }}

),

renamed as (

    select
        -- ids
        id as subscription_id,
        account_id,
        _shard as source_shard,
        _position as source_position,

        -- dimensions
        plan,
        status,
        currency,
        _is_deleted as is_deleted,

        -- measures
        price,

        -- times
        started_at,
        cancelled_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source

)

select * from renamed
