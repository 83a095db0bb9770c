{{ config(sort='uploaded_at', dist='account_id') }}

with photos as (

    select * from {{ ref('stg_photos') }}

),

engagement as (

    select * from {{ ref('int_photos_engagement') }}

)

select
    cast(photos.photo_id as numeric(20, 0)) as photo_id,
    cast(photos.account_id as numeric(20, 0)) as account_id,
    cast(photos.media as varchar(16)) as media,
    cast(photos.size_bytes as bigint) as size_bytes,
    cast(
        cast(photos.width_pixels as double precision)
        * cast(photos.height_pixels as double precision) / 1000000
        as numeric(14, 2)
    ) as megapixels,
    cast(cast(photos.duration_microseconds as double precision) / 1000000 as numeric(14, 3))
        as duration_seconds,
    cast(photos.rating as double precision) as rating,
    cast(
        {{ datediff('cast(photos.taken_at as date)', 'cast(photos.uploaded_at as date)', 'day') }}
        as bigint
    ) as days_from_taken_to_uploaded,
    cast(coalesce(engagement.favorites_count, 0) as bigint) as favorites_count,
    cast(coalesce(engagement.comments_count, 0) as bigint) as comments_count,
    cast(coalesce(engagement.views_count, 0) as bigint) as views_count,
    cast(photos.uploaded_at as date) as uploaded_on,
    cast(photos.uploaded_at as timestamp) as uploaded_at,
    cast(photos.source_committed_at as timestamp) as source_committed_at
from photos
left join engagement on photos.photo_id = engagement.photo_id
