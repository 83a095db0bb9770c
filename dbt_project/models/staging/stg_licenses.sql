with source as (

    select * from {{ source('warehouse', 'licenses') }}

),

renamed as (

    select
        -- ids
        id as license_id,
        _shard as source_shard,

        -- dimensions
        code,
        name,
        allows_sale <> 0 as allows_sale,

        -- times
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
