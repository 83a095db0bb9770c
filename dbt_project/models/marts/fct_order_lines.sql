{#- Lies beside its order; read by day. -#}
{{ config(dist='order_id', sort='placed_on') }}

with lines as (

    select * from {{ ref('int_order_lines_priced') }}

),

orders as (

    select * from {{ ref('stg_orders') }}

)

select
    cast(
        cast(lines.order_id as varchar(20)) || '-' || cast(lines.line_number as varchar(11))
        as varchar(32)
    ) as order_line_id,
    cast(lines.order_id as numeric(20, 0)) as order_id,
    cast(lines.line_number as bigint) as line_number,
    cast(nullif(lines.photo_id, 0) as numeric(20, 0)) as photo_id,
    cast(orders.account_id as numeric(20, 0)) as account_id,
    cast(lines.product as varchar(160)) as product,
    cast(orders.status as varchar(16)) as order_status,
    cast(orders.currency as varchar(12)) as currency,
    lines.is_deduction,
    cast(lines.quantity as bigint) as quantity,
    cast(lines.unit_price as numeric(10, 2)) as unit_price,
    cast(lines.line_amount as numeric(14, 2)) as line_amount,
    cast(orders.placed_at as date) as placed_on
from lines
left join orders on lines.order_id = orders.order_id
