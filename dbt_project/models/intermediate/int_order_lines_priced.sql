with order_items as (

    select * from {{ ref('stg_order_items') }}

)

select
    order_id,
    line_number,
    photo_id,
    product,
    quantity,
    unit_price,
    unit_price < 0 as is_deduction,
    cast(quantity * unit_price as numeric(14, 2)) as line_amount
from order_items
