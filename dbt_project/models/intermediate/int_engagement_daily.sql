{#- Three of the largest tables in one row a photo and day, so only photos with something new are
    counted again, whole: a favorite may have changed its day. A day on which nothing is left stays
    with zeros, for what reads this to learn of it. Everything joins it by photo and reads the days
    that were merged last. -#}
{{ config(
    materialized='incremental', incremental_strategy='merge', on_schema_change='fail',
    unique_key=['photo_id', 'engaged_on'], dist='photo_id', sort='_merged_at'
) }}
{%- set kinds = ['favorites', 'comments', 'views'] %}
{%- set chosen = 'photo_id in (select touched.photo_id from touched)' %}
{%- if is_backfill() %}
{%- set chosen = in_days('engaged_on') %}
{%- endif %}

with reached as (

    {{ reached(ref('stg_photo_changes'), kinds) }}

),

events as (

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

),
{%- if is_incremental() %}

seen as (

    {{ seen(['_favorites_loaded_at', '_comments_loaded_at', '_views_loaded_at', '_merged_at']) }}

),
{%- if not is_backfill() %}

comments_now as (

    select
        photo_id,
        count(*) as comments_count
    from {{ ref('stg_comments') }}
    group by photo_id

),

comments_held as (

    select
        photo_id,
        sum(comments_count + spam_comments_count) as comments_count
    from {{ this }}
    where comments_count + spam_comments_count > 0
    group by photo_id

),

-- A comment is the only one of the three that can move to another photo. The one it left has no
-- change to show for it, and has fewer comments than are held.
touched as (

    {{ touched(ref('stg_photo_changes'), kinds) }}

    union

    select comments_held.photo_id
    from comments_held
    left join comments_now on comments_held.photo_id = comments_now.photo_id
    where comments_held.comments_count <> coalesce(comments_now.comments_count, 0)

),
{%- endif %}

days as (

    select
        photo_id,
        engaged_on,
        favorites_count,
        comments_count,
        spam_comments_count,
        views_count
    from events
    where {{ chosen }}

    union all

    select
        photo_id,
        engaged_on,
        0 as favorites_count,
        0 as comments_count,
        0 as spam_comments_count,
        0 as views_count
    from {{ this }}
    where {{ chosen }}

),
{%- else %}

days as (

    select * from events

),
{%- endif %}

counted as (

    select
        photo_id,
        engaged_on,
        cast(sum(favorites_count) as bigint) as favorites_count,
        cast(sum(comments_count) as bigint) as comments_count,
        cast(sum(spam_comments_count) as bigint) as spam_comments_count,
        cast(sum(views_count) as bigint) as views_count
    from days
    group by photo_id, engaged_on

)

select
    counted.photo_id,
    counted.engaged_on,
    counted.favorites_count,
    counted.comments_count,
    counted.spam_comments_count,
    counted.views_count,
    reached.favorites_loaded_at as _favorites_loaded_at,
    reached.comments_loaded_at as _comments_loaded_at,
    reached.views_loaded_at as _views_loaded_at,
    {%- if is_incremental() %}
    greatest({{ now() }}, {{ dateadd('microsecond', 1, 'seen._merged_at') }}) as _merged_at
    {%- else %}
    {{ now() }} as _merged_at
    {%- endif %}
from counted
cross join reached
{%- if is_incremental() %}
cross join seen
{%- endif %}
