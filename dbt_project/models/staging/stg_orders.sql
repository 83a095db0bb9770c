with source as (

    select * from {{ source('warehouse', 'orders') }}

),

renamed as (

    select
        -- ids
        id as order_id,
        account_id,
        _shard as source_shard,

        -- dimensions
        status,
        currency,
        ship_to,
        {{ hex('coupon') }} as coupon_hex,

        -- measures
        total as total_amount,
        tax_rate,

        -- times
        placed_at,
        {{ utc('updated_at') }} as updated_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
