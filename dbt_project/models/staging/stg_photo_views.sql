with source as (

    select * from {{ source('warehouse', 'photo_views') }}

),

renamed as (

    select
        -- ids
        _content_id as photo_view_id,
        photo_id,
        _shard as source_shard,

        -- dimensions
        viewer_country,
        referrer,

        -- times
        viewed_on,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
