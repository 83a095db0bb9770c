with photos as (

    select photo_id from {{ ref('stg_photos') }}

),

engagement as (

    select
        photo_id,
        sum(favorites_count) as favorites_count,
        sum(comments_count) as comments_count,
        sum(views_count) as views_count,
        max(engaged_on) as last_engaged_on
    from {{ ref('int_engagement_daily') }}
    where favorites_count + comments_count + spam_comments_count + views_count > 0
    group by photo_id

)

select
    photos.photo_id,
    cast(coalesce(engagement.favorites_count, 0) as bigint) as favorites_count,
    cast(coalesce(engagement.comments_count, 0) as bigint) as comments_count,
    cast(coalesce(engagement.views_count, 0) as bigint) as views_count,
    engagement.last_engaged_on
from photos
left join engagement on photos.photo_id = engagement.photo_id
