{{ config(sort='engaged_on', dist='photo_id') }}

with engagement as (

    select * from {{ ref('int_engagement_daily') }}

),

photos as (

    select
        photo_id,
        account_id
    from {{ ref('stg_photos') }}

)

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
    ) as interactions_count
from engagement
left join photos on engagement.photo_id = photos.photo_id
