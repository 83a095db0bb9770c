{#- A row a month, plan and currency, so a copy on every node; read by month. -#}
{{ config(dist='all', sort='month_start') }}

with subscriptions as (

    select
        plan,
        currency,
        price,
        cast({{ date_trunc('month', 'started_at') }} as date) as started_month,
        cast({{ date_trunc('month', 'cancelled_at') }} as date) as cancelled_month
    from {{ ref('stg_subscriptions') }}

),

bounds as (

    select
        plan,
        currency,
        min(started_month) as first_month
    from subscriptions
    group by plan, currency

),

last_month as (

    select
        max(
            case when cancelled_month > started_month then cancelled_month else started_month end
        ) as ends_on
    from subscriptions

),

numbers as (

    {{ numbers(600) }}

),

months as (

    select
        bounds.plan,
        bounds.currency,
        cast({{ dateadd('month', 'numbers.n', 'bounds.first_month') }} as date) as month_start
    from bounds
    cross join numbers
    cross join last_month
    where
        cast({{ dateadd('month', 'numbers.n', 'bounds.first_month') }} as date)
        <= last_month.ends_on

),

counted as (

    select
        months.month_start,
        months.plan,
        months.currency,
        sum(case when subscriptions.started_month < months.month_start then 1 else 0 end)
            as opening_count,
        sum(case when subscriptions.started_month = months.month_start then 1 else 0 end)
            as new_count,
        sum(case when subscriptions.cancelled_month = months.month_start then 1 else 0 end)
            as churned_count,
        sum(
            case
                when
                    subscriptions.cancelled_month is null
                    or subscriptions.cancelled_month > months.month_start
                    then subscriptions.price
                else 0
            end
        ) as closing_price_amount
    from months
    inner join subscriptions
        on
            months.plan = subscriptions.plan
            and months.currency = subscriptions.currency
            and months.month_start >= subscriptions.started_month
            and months.month_start <= coalesce(subscriptions.cancelled_month, months.month_start)
    group by months.month_start, months.plan, months.currency

)

select
    cast(months.month_start as date) as month_start,
    cast(months.plan as varchar(16)) as plan,
    cast(months.currency as varchar(12)) as currency,
    cast(coalesce(counted.opening_count, 0) as bigint) as opening_count,
    cast(coalesce(counted.new_count, 0) as bigint) as new_count,
    cast(coalesce(counted.churned_count, 0) as bigint) as churned_count,
    cast(
        coalesce(counted.opening_count, 0)
        + coalesce(counted.new_count, 0)
        - coalesce(counted.churned_count, 0)
        as bigint
    ) as closing_count,
    {{ ratio('counted.churned_count', 'counted.opening_count') }} as churn_rate,
    cast(coalesce(counted.closing_price_amount, 0) as numeric(18, 2)) as closing_price_amount
from months
left join counted
    on
        months.month_start = counted.month_start
        and months.plan = counted.plan
        and months.currency = counted.currency
