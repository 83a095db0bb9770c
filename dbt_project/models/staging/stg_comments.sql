with source as (

    select * from {{ source('warehouse', 'comments') }}

),

renamed as (

    select
        -- ids
        id as comment_id,
        photo_id,
        account_id,
        _shard as source_shard,

        -- dimensions
        body,
        is_spam <> 0 as is_spam,

        -- times
        created_at,
        edited_at,
        {{ utc('_committed_at') }} as source_committed_at
    from source
    {{ live_rows() }}

)

select * from renamed
