with source as (

    select * from {{ source('warehouse', 'albums') }}

),

renamed as (

    select
        -- ids
        id as album_id,
        account_id,
        _shard as source_shard,

        -- dimensions
        title,
        is_public,

        -- measures
        photo_count as declared_photo_count,

        -- times
        founded as founded_year,
        created_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
