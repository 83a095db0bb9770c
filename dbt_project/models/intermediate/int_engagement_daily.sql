with events as (

    select
        photo_id,
        cast(created_at as date) as engaged_on,
        1 as favorites_count,
        0 as comments_count,
        0 as spam_comments_count,
        0 as views_count
    from {{ ref('stg_favorites') }}

    union all

    select
        photo_id,
        cast(created_at as date) as engaged_on,
        0 as favorites_count,
        case when is_spam then 0 else 1 end as comments_count,
        case when is_spam then 1 else 0 end as spam_comments_count,
        0 as views_count
    from {{ ref('stg_comments') }}

    union all

    select
        photo_id,
        viewed_on as engaged_on,
        0 as favorites_count,
        0 as comments_count,
        0 as spam_comments_count,
        1 as views_count
    from {{ ref('stg_photo_views') }}

)

select
    photo_id,
    engaged_on,
    cast(sum(favorites_count) as bigint) as favorites_count,
    cast(sum(comments_count) as bigint) as comments_count,
    cast(sum(spam_comments_count) as bigint) as spam_comments_count,
    cast(sum(views_count) as bigint) as views_count
from events
group by photo_id, engaged_on
