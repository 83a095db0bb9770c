{#- Joined by account with dim_accounts; read by start. -#}
{{ config(dist='account_id', sort='started_at') }}

with subscriptions as (

    select * from {{ ref('stg_subscriptions') }}

),

periods as (

    select
        subscription_id,
        count(*) as periods_count,
        sum(case when status = 'past_due' then 1 else 0 end) as past_due_periods_count
    from {{ ref('int_subscription_periods') }}
    group by subscription_id

)

select
    cast(subscriptions.subscription_id as numeric(20, 0)) as subscription_id,
    cast(subscriptions.account_id as numeric(20, 0)) as account_id,
    cast(subscriptions.plan as varchar(16)) as plan,
    cast(subscriptions.status as varchar(16)) as status,
    cast(subscriptions.currency as varchar(12)) as currency,
    subscriptions.status <> 'cancelled' as is_running,
    subscriptions.status in ('active', 'past_due') as is_billed,
    cast(subscriptions.price as numeric(10, 2)) as price,
    cast(
        case
            when subscriptions.status in ('active', 'past_due') then subscriptions.price else 0
        end as numeric(10, 2)
    ) as recurring_amount,
    cast(coalesce(periods.periods_count, 0) as bigint) as periods_count,
    cast(coalesce(periods.past_due_periods_count, 0) as bigint) as past_due_periods_count,
    cast(
        {{ datediff(
            'cast(subscriptions.started_at as date)', 'cast(subscriptions.cancelled_at as date)', 'day'
        ) }} as bigint
    ) as days_until_cancelled,
    cast(subscriptions.started_at as timestamp) as started_at,
    cast(subscriptions.cancelled_at as timestamp) as cancelled_at,
    cast(subscriptions.source_committed_at as timestamp) as source_committed_at
from subscriptions
left join periods on subscriptions.subscription_id = periods.subscription_id
