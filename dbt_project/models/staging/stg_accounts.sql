with source as (

    select * from {{ source('warehouse', 'accounts') }}

),

renamed as (

    select
        -- ids
        id as account_id,
        _shard as source_shard,

        -- dimensions
        screen_name,
        display_name,
        email,
        country,
        city,
        plan,
        flags,
        preferences,
        {{ hex('signup_ip') }} as signup_ip_hex,

        -- measures
        storage_bytes,

        -- times
        born_on,
        created_at,
        {{ utc('updated_at') }} as updated_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
