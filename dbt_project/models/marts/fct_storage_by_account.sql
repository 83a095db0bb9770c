{#- A row an account, joined with dim_accounts and nothing else. -#}
{{ config(dist='account_id', sort='account_id') }}

with accounts as (

    select * from {{ ref('stg_accounts') }}

),

photos as (

    select
        account_id,
        count(*) as files_count,
        sum(case when media = 'video' then 1 else 0 end) as videos_count,
        sum(size_bytes) as files_bytes,
        sum(case when media = 'video' then size_bytes else 0 end) as videos_bytes,
        max(size_bytes) as largest_file_bytes,
        max(uploaded_at) as last_uploaded_at
    from {{ ref('stg_photos') }}
    group by account_id

)

select
    cast(accounts.account_id as numeric(20, 0)) as account_id,
    cast(accounts.plan as varchar(16)) as plan,
    cast(accounts.storage_bytes as numeric(20, 0)) as storage_bytes,
    cast(coalesce(photos.files_count, 0) as bigint) as files_count,
    cast(coalesce(photos.videos_count, 0) as bigint) as videos_count,
    cast(coalesce(photos.files_bytes, 0) as numeric(20, 0)) as files_bytes,
    cast(coalesce(photos.videos_bytes, 0) as numeric(20, 0)) as videos_bytes,
    cast(coalesce(photos.largest_file_bytes, 0) as bigint) as largest_file_bytes,
    cast(accounts.storage_bytes - coalesce(photos.files_bytes, 0) as numeric(21, 0))
        as unexplained_bytes,
    cast(photos.last_uploaded_at as timestamp) as last_uploaded_at
from accounts
left join photos on accounts.account_id = photos.account_id
