with storage as (

    select * from {{ ref('fct_storage_by_account') }}

),

accounts as (

    select * from {{ ref('dim_accounts') }}

)

select
    storage.account_id,
    accounts.screen_name,
    accounts.country,
    storage.plan,
    storage.storage_bytes,
    {{ ratio('storage.storage_bytes', 1000000000) }} as storage_gigabytes,
    storage.files_count,
    storage.videos_count,
    storage.files_bytes,
    storage.videos_bytes,
    storage.largest_file_bytes,
    storage.unexplained_bytes,
    {{ ratio('storage.files_bytes', 'storage.files_count') }} as average_file_bytes,
    storage.last_uploaded_at
from storage
left join accounts on storage.account_id = accounts.account_id
