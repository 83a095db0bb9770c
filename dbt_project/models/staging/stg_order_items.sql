with source as (

    select * from {{ source('warehouse', 'order_items') }}

),

renamed as (

    select
        -- ids
        order_id,
        line_number,
        photo_id,
        _shard as source_shard,

        -- dimensions
        product,

        -- measures
        quantity,
        unit_price,

        -- times
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
