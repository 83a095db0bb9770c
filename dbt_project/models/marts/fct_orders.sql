{#- Lies beside its lines, the one large join of an order; read by time. -#}
{{ config(dist='order_id', sort='placed_at') }}

with orders as (

    select * from {{ ref('int_orders_priced') }}

)

select
    cast(order_id as numeric(20, 0)) as order_id,
    cast(account_id as numeric(20, 0)) as account_id,
    cast(status as varchar(16)) as status,
    cast(currency as varchar(12)) as currency,
    is_refunded,
    has_coupon,
    cast(lines_count as bigint) as lines_count,
    cast(items_count as bigint) as items_count,
    cast(lines_amount as numeric(14, 2)) as lines_amount,
    cast(tax_amount as numeric(14, 2)) as tax_amount,
    cast(total_amount as numeric(14, 2)) as total_amount,
    cast(unexplained_amount as numeric(14, 2)) as unexplained_amount,
    cast(refunded_amount as numeric(14, 2)) as refunded_amount,
    cast(kept_amount as numeric(14, 2)) as kept_amount,
    cast(placed_at as date) as placed_on,
    cast(placed_at as timestamp) as placed_at,
    cast(updated_at as timestamp) as updated_at,
    cast(source_committed_at as timestamp) as source_committed_at
from orders
