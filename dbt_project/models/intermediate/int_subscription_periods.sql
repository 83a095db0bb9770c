{{ history_intervals(
    ref('stg_subscriptions_history'), 'subscription_id',
    ['plan', 'status', 'price', 'currency']
) }}
