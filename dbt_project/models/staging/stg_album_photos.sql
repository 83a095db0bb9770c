with source as (

    select * from {{ source('warehouse', 'album_photos') }}

),

renamed as (

    select
        -- ids
        album_id,
        photo_id,
        _shard as source_shard,

        -- dimensions
        sort_order,

        -- times
        added_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
