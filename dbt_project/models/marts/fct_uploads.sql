{#- A row a photo, the largest entity there is, so it is merged. Joined by photo with the other
    marts of photos, which are spread alike, and read by time. -#}
{{ config(
    materialized='incremental', incremental_strategy='merge', on_schema_change='fail',
    unique_key='photo_id', dist='photo_id', sort='uploaded_at',
    post_hook="delete from {{ this }}
        where photo_id not in (select photo_id from {{ ref('stg_photos') }})
        {%- if is_backfill() %} and {{ in_days('uploaded_on') }}{% endif %}"
) }}

with photos as (

    select * from {{ ref('stg_photos') }}

),

{{ new_of_photos_and_engagement() }},
{%- if is_backfill() %}

-- A photo whose day has changed leaves its old one.
touched as (

    select photo_id
    from {{ ref('stg_photos') }}
    where {{ in_days('cast(uploaded_at as date)') }}

    union

    select photo_id
    from {{ this }}
    where {{ in_days('uploaded_on') }}

),
{%- endif %}

engagement as (

    select
        photo_id,
        sum(favorites_count) as favorites_count,
        sum(comments_count) as comments_count,
        sum(views_count) as views_count
    from {{ ref('int_engagement_daily') }}
    {%- if is_incremental() %}
    where photo_id in (select touched.photo_id from touched)
    {%- endif %}
    group by photo_id

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
    cast(photos.source_committed_at as timestamp) as source_committed_at,
    reached.photos_loaded_at as _photos_loaded_at,
    merged.merged_at as _engagement_merged_at
from photos
left join engagement on photos.photo_id = engagement.photo_id
cross join reached
cross join merged
{%- if is_incremental() %}
where photos.photo_id in (select touched.photo_id from touched)
{%- endif %}
