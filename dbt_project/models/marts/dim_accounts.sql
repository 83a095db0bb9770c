{#- Joined by account with everything of members; read by account as well. -#}
{{ config(dist='account_id', sort='account_id') }}

with accounts as (

    select * from {{ ref('stg_accounts') }}

),

albums as (

    select
        account_id,
        count(*) as albums_count
    from {{ ref('stg_albums') }}
    group by account_id

)

select
    cast(accounts.account_id as numeric(20, 0)) as account_id,
    cast(accounts.source_shard as varchar(64)) as source_shard,
    cast(accounts.screen_name as varchar(240)) as screen_name,
    cast(accounts.country as varchar(8)) as country,
    cast(accounts.city as varchar(320)) as city,
    cast(accounts.plan as varchar(16)) as plan,
    accounts.plan <> 'free' as is_paying,
    {{ set_has('accounts.flags', 'verified') }} as is_verified,
    {{ set_has('accounts.flags', 'staff') }} as is_staff,
    {{ set_has('accounts.flags', 'adult') }} as is_adult,
    {{ set_has('accounts.flags', 'suspended') }} as is_suspended,
    cast(accounts.storage_bytes as numeric(20, 0)) as storage_bytes,
    cast(coalesce(albums.albums_count, 0) as bigint) as albums_count,
    cast(accounts.created_at as date) as signed_up_on,
    cast(accounts.created_at as timestamp) as created_at,
    cast(accounts.updated_at as timestamp) as updated_at,
    cast(accounts.source_committed_at as timestamp) as source_committed_at
from accounts
left join albums on accounts.account_id = albums.account_id
