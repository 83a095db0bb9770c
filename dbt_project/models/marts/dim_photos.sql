{#- Lies beside fct_uploads and fct_engagement, its two large joins; sorted as they are joined. -#}
{{ config(dist='photo_id', sort='photo_id') }}

with photos as (

    select * from {{ ref('stg_photos') }}

),

licenses as (

    select * from {{ ref('stg_licenses') }}

),

albums as (

    select
        photo_id,
        count(*) as albums_count
    from {{ ref('stg_album_photos') }}
    group by photo_id

)

select
    cast(photos.photo_id as numeric(20, 0)) as photo_id,
    cast(photos.account_id as numeric(20, 0)) as account_id,
    cast(photos.title as varchar(1020)) as title,
    cast(photos.media as varchar(16)) as media,
    cast(photos.visibility as varchar(16)) as visibility,
    photos.visibility = 'public' as is_public,
    cast(licenses.code as varchar(48)) as license_code,
    cast(licenses.name as varchar(320)) as license_name,
    coalesce(licenses.allows_sale, false) as allows_sale,
    cast({{ json_text('photos.exif', ['camera']) }} as varchar(200)) as camera,
    cast(
        case
            when photos.width_pixels > photos.height_pixels then 'landscape'
            when photos.width_pixels < photos.height_pixels then 'portrait'
            else 'square'
        end as varchar(16)
    ) as orientation,
    photos.latitude is not null and photos.longitude is not null as has_location,
    cast(photos.latitude as numeric(9, 6)) as latitude,
    cast(photos.longitude as numeric(9, 6)) as longitude,
    cast(coalesce(albums.albums_count, 0) as bigint) as albums_count,
    cast(photos.taken_at as timestamp) as taken_at,
    cast(photos.uploaded_at as timestamp) as uploaded_at,
    cast(photos.updated_at as timestamp) as updated_at
from photos
left join licenses on photos.license_id = licenses.license_id
left join albums on photos.photo_id = albums.photo_id
