with engagement as (

    select * from {{ ref('fct_engagement') }}

),

photos as (

    select * from {{ ref('dim_photos') }}

),

accounts as (

    select * from {{ ref('dim_accounts') }}

)

select
    engagement.engaged_on,
    engagement.photo_id,
    engagement.account_id,
    accounts.screen_name,
    accounts.country,
    accounts.plan,
    photos.media,
    photos.visibility,
    photos.camera,
    engagement.favorites_count,
    engagement.comments_count,
    engagement.spam_comments_count,
    engagement.views_count,
    engagement.interactions_count
from engagement
left join photos on engagement.photo_id = photos.photo_id
left join accounts on engagement.account_id = accounts.account_id
