with photos as (

    select * from {{ source('warehouse', 'photos') }}

),

favorites as (

    select * from {{ source('warehouse', 'favorites') }}

),

comments as (

    select * from {{ source('warehouse', 'comments') }}

),

photo_views as (

    select * from {{ source('warehouse', 'photo_views') }}

)

select
    id as photo_id,
    'photos' as kind,
    {{ utc('_loaded_at') }} as loaded_at
from photos

union all

select
    photo_id,
    'favorites' as kind,
    {{ utc('_loaded_at') }} as loaded_at
from favorites

union all

select
    photo_id,
    'comments' as kind,
    {{ utc('_loaded_at') }} as loaded_at
from comments

union all

select
    photo_id,
    'views' as kind,
    {{ utc('_loaded_at') }} as loaded_at
from photo_views
