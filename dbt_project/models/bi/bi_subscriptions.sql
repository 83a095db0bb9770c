with subscriptions as (

    select * from {{ ref('fct_subscriptions') }}

),

accounts as (

    select * from {{ ref('dim_accounts') }}

)

select
    subscriptions.subscription_id,
    subscriptions.account_id,
    accounts.screen_name,
    accounts.country,
    subscriptions.plan,
    subscriptions.status,
    subscriptions.currency,
    subscriptions.is_running,
    subscriptions.is_billed,
    subscriptions.price,
    subscriptions.recurring_amount,
    subscriptions.periods_count,
    subscriptions.past_due_periods_count,
    subscriptions.days_until_cancelled,
    cast(subscriptions.started_at as date) as started_on,
    cast(subscriptions.cancelled_at as date) as cancelled_on
from subscriptions
left join accounts on subscriptions.account_id = accounts.account_id
