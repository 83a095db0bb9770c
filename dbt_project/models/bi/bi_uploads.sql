with uploads as (

    select * from {{ ref('fct_uploads') }}

),

photos as (

    select * from {{ ref('dim_photos') }}

),

accounts as (

    select * from {{ ref('dim_accounts') }}

)

select
    uploads.photo_id,
    uploads.account_id,
    accounts.screen_name,
    accounts.country,
    accounts.plan,
    uploads.media,
    photos.visibility,
    photos.license_code,
    photos.camera,
    photos.orientation,
    photos.has_location,
    photos.latitude,
    photos.longitude,
    uploads.size_bytes,
    uploads.megapixels,
    uploads.duration_seconds,
    uploads.favorites_count,
    uploads.comments_count,
    uploads.views_count,
    uploads.uploaded_on,
    uploads.uploaded_at
from uploads
left join photos on uploads.photo_id = photos.photo_id
left join accounts on uploads.account_id = accounts.account_id
