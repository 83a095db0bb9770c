with lines as (

    select * from {{ ref('fct_order_lines') }}

),

accounts as (

    select * from {{ ref('dim_accounts') }}

)

select
    lines.order_line_id,
    lines.order_id,
    lines.line_number,
    lines.account_id,
    accounts.country,
    accounts.plan,
    lines.photo_id,
    lines.product,
    lines.order_status,
    lines.currency,
    lines.is_deduction,
    lines.quantity,
    lines.unit_price,
    lines.line_amount,
    lines.placed_on
from lines
left join accounts on lines.account_id = accounts.account_id
