with source as (

    select * from {{ source('warehouse', 'subscriptions') }}

),

renamed as (

    select
        -- ids
        id as subscription_id,
        account_id,
        _shard as source_shard,

        -- dimensions
        plan,
        status,
        currency,

        -- measures
        price,

        -- times
        started_at,
        cancelled_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
