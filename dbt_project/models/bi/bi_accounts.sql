with accounts as (

    select * from {{ ref('dim_accounts') }}

),

versions as (

    select
        account_id,
        max(version_number) as versions_count
    from {{ ref('dim_accounts_history') }}
    group by account_id

),

uploads as (

    select
        account_id,
        count(*) as uploads_count,
        sum(favorites_count) as favorites_count,
        sum(comments_count) as comments_count,
        sum(views_count) as views_count
    from {{ ref('fct_uploads') }}
    group by account_id

)

select
    accounts.account_id,
    accounts.source_shard,
    accounts.screen_name,
    accounts.country,
    accounts.city,
    accounts.plan,
    accounts.is_paying,
    accounts.is_verified,
    accounts.is_suspended,
    accounts.storage_bytes,
    accounts.albums_count,
    cast(coalesce(uploads.uploads_count, 0) as bigint) as uploads_count,
    cast(coalesce(uploads.favorites_count, 0) as bigint) as favorites_count,
    cast(coalesce(uploads.comments_count, 0) as bigint) as comments_count,
    cast(coalesce(uploads.views_count, 0) as bigint) as views_count,
    cast(coalesce(versions.versions_count, 0) as bigint) as versions_count,
    accounts.signed_up_on,
    accounts.created_at
from accounts
left join versions on accounts.account_id = versions.account_id
left join uploads on accounts.account_id = uploads.account_id
