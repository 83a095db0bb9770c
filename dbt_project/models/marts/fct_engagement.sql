{#- A row a photo and day, so it grows for ever and is merged. Joined by photo with the other marts
    of photos, which are spread alike, and read by day. -#}
{{ config(
    materialized='incremental', incremental_strategy='merge', on_schema_change='fail',
    unique_key=['photo_id', 'engaged_on'], dist='photo_id', sort='engaged_on',
    post_hook=[
        "delete from {{ this }} where interactions_count + spam_comments_count = 0",
        "{%- if is_backfill() -%}
            delete from {{ this }} where {{ in_days('engaged_on') }} and not exists (
                select 1 from {{ ref('int_engagement_daily') }} as daily
                where daily.photo_id = {{ this.identifier }}.photo_id
                    and daily.engaged_on = {{ this.identifier }}.engaged_on
            )
        {%- endif -%}"
    ]
) }}

with photos as (

    select
        photo_id,
        account_id
    from {{ ref('stg_photos') }}

),

{{ new_of_photos_and_engagement() }}

select
    cast(engagement.photo_id as numeric(20, 0)) as photo_id,
    cast(photos.account_id as numeric(20, 0)) as account_id,
    cast(engagement.engaged_on as date) as engaged_on,
    cast(engagement.favorites_count as bigint) as favorites_count,
    cast(engagement.comments_count as bigint) as comments_count,
    cast(engagement.spam_comments_count as bigint) as spam_comments_count,
    cast(engagement.views_count as bigint) as views_count,
    cast(
        engagement.favorites_count + engagement.comments_count + engagement.views_count as bigint
    ) as interactions_count,
    reached.photos_loaded_at as _photos_loaded_at,
    merged.merged_at as _engagement_merged_at
from {{ ref('int_engagement_daily') }} as engagement
left join photos on engagement.photo_id = photos.photo_id
cross join reached
cross join merged
{%- if is_backfill() %}
where {{ in_days('engagement.engaged_on') }}
{%- elif is_incremental() %}
where engagement.photo_id in (select touched.photo_id from touched)
{%- endif %}
