{#- A few thousand rows, so a copy on every node; read by day. -#}
{{ config(dist='all', sort='placed_on') }}

with orders as (

    select * from {{ ref('int_orders_priced') }}

)

select
    cast(placed_at as date) as placed_on,
    cast(currency as varchar(12)) as currency,
    cast(count(*) as bigint) as orders_count,
    cast(sum(case when is_refunded then 1 else 0 end) as bigint) as refunded_orders_count,
    cast(sum(items_count) as bigint) as items_count,
    cast(sum(total_amount) as numeric(18, 2)) as gross_amount,
    cast(sum(refunded_amount) as numeric(18, 2)) as refunded_amount,
    cast(sum(kept_amount) as numeric(18, 2)) as revenue_amount,
    cast(sum(case when is_refunded then 0 else tax_amount end) as numeric(18, 2)) as tax_amount,
    cast(sum(case when is_refunded then 0 else lines_amount end) as numeric(18, 2))
        as net_revenue_amount
from orders
group by cast(placed_at as date), currency
