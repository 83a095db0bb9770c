with orders as (

    select * from {{ ref('stg_orders') }}

),

lines as (

    select
        order_id,
        count(*) as lines_count,
        sum(case when is_deduction then 0 else quantity end) as items_count,
        sum(line_amount) as lines_amount
    from {{ ref('int_order_lines_priced') }}
    group by order_id

),

priced as (

    select
        orders.order_id,
        orders.account_id,
        orders.status,
        orders.currency,
        orders.status = 'refunded' as is_refunded,
        orders.coupon_hex is not null as has_coupon,
        cast(coalesce(lines.lines_count, 0) as bigint) as lines_count,
        cast(coalesce(lines.items_count, 0) as bigint) as items_count,
        cast(coalesce(lines.lines_amount, 0) as numeric(14, 2)) as lines_amount,
        cast(
            round(cast(coalesce(lines.lines_amount, 0) as numeric(14, 2)) * orders.tax_rate, 2)
            as numeric(14, 2)
        ) as tax_amount,
        orders.total_amount,
        orders.placed_at,
        orders.updated_at,
        orders.source_committed_at
    from orders
    left join lines on orders.order_id = lines.order_id

)

select
    order_id,
    account_id,
    status,
    currency,
    is_refunded,
    has_coupon,
    lines_count,
    items_count,
    lines_amount,
    tax_amount,
    total_amount,
    cast(case when is_refunded then total_amount else 0 end as numeric(14, 2)) as refunded_amount,
    cast(case when is_refunded then 0 else total_amount end as numeric(14, 2)) as kept_amount,
    cast(total_amount - lines_amount - tax_amount as numeric(14, 2)) as unexplained_amount,
    placed_at,
    updated_at,
    source_committed_at
from priced
