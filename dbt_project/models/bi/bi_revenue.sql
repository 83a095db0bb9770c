with revenue as (

    select * from {{ ref('fct_revenue_daily') }}

)

select
    placed_on,
    cast({{ date_trunc('month', 'placed_on') }} as date) as month_start,
    currency,
    orders_count,
    refunded_orders_count,
    items_count,
    gross_amount,
    refunded_amount,
    revenue_amount,
    tax_amount,
    net_revenue_amount,
    {{ ratio('gross_amount', 'orders_count') }} as average_order_amount,
    {{ ratio('refunded_orders_count', 'orders_count') }} as refund_rate
from revenue
