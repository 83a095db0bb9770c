{{ history_intervals(
    ref('stg_accounts_history'), 'account_id',
    ['screen_name', 'country', 'city', 'plan', 'flags']
) }}
