{#- Lies beside dim_accounts; a version is looked up by account and time. -#}
{{ config(dist='account_id', sort=['account_id', 'valid_from']) }}

with intervals as (

    select * from {{ ref('int_account_history_intervals') }}

)

select
    cast(
        cast(account_id as varchar(20)) || '-' || cast(version_number as varchar(11))
        as varchar(32)
    ) as account_version_id,
    cast(account_id as numeric(20, 0)) as account_id,
    cast(version_number as bigint) as version_number,
    cast(source_shard as varchar(64)) as source_shard,
    cast(screen_name as varchar(240)) as screen_name,
    cast(country as varchar(8)) as country,
    cast(city as varchar(320)) as city,
    cast(plan as varchar(16)) as plan,
    plan <> 'free' as is_paying,
    {{ set_has('flags', 'verified') }} as is_verified,
    {{ set_has('flags', 'staff') }} as is_staff,
    {{ set_has('flags', 'adult') }} as is_adult,
    {{ set_has('flags', 'suspended') }} as is_suspended,
    is_current,
    cast(valid_from as timestamp) as valid_from,
    cast(valid_to as timestamp) as valid_to
from intervals
