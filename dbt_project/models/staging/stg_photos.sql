with source as (

    select * from {{ source('warehouse', 'photos') }}

),

renamed as (

    select
        -- ids
        id as photo_id,
        account_id,
        license_id,
        _shard as source_shard,

        -- dimensions
        title,
        description,
        media,
        visibility,
        tags,
        exif,
        {{ hex('content_hash') }} as content_hash_hex,

        -- measures
        bytes as size_bytes,
        width as width_pixels,
        height as height_pixels,
        latitude,
        longitude,
        rating,
        duration as duration_microseconds,

        -- times
        taken_at,
        uploaded_at,
        {{ utc('updated_at') }} as updated_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
