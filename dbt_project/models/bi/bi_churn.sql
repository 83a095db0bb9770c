with churn as (

    select * from {{ ref('fct_churn_monthly') }}

)

select
    month_start,
    plan,
    currency,
    opening_count,
    new_count,
    churned_count,
    closing_count,
    churn_rate,
    closing_price_amount
from churn
