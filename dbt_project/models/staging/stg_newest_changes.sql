{#- Deleted rows count too: a delete is a change that has come. -#}
{%- set tables = [
    'accounts', 'photos', 'albums', 'album_photos', 'favorites', 'comments', 'photo_views',
    'subscriptions', 'orders', 'order_items', 'licenses'
] -%}
{% for table in tables %}
{{ 'union all' if not loop.first }}
select
    '{{ table }}' as table_name,
    _shard as source_shard,
    max({{ utc('_committed_at') }}) as source_committed_at
from {{ source('warehouse', table) }}
group by _shard
{% endfor %}
