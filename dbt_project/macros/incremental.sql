{#- What an incremental model of photos has to make anew.

    A row of a replica carries the time of the load that brought it, which rises from load to load of
    that replica. A model keeps beside its rows, in `_<kind>_loaded_at`, how far it had read each
    replica; what was loaded later is new to it, however old the change and whether it is a delete.
    Loads of different replicas run side by side, so there is one such time a replica.

    changes: stg_photo_changes. It is no CTE of the models, nor is anything large that they read
    twice: DuckDB would write such a CTE out. The CTEs that the macros name, `reached` and `seen`,
    are what the macros of those names give.

    With first_day and last_day among dbt's --vars a run is a backfill: each model makes anew what it
    holds of those days, whatever is new, and stays with what it had read. So the changes that it has
    not seen yet are new to the next run, also where this one has counted them. A model that is not
    there, or is made with --full-refresh, is made whole.
-#}

{% macro is_backfill() -%}
    {{ return(is_incremental() and var('first_day', none) is not none) }}
{%- endmacro %}

{#- True of the days that a backfill makes anew. -#}
{% macro in_days(day) -%}
    {{ day }} between cast('{{ var("first_day") }}' as date) and cast('{{ var("last_day") }}' as date)
{%- endmacro %}

{#- For each kind of change the newest and the oldest load that is there; of a backfill, what the
    model had read. -#}
{% macro reached(changes, kinds) -%}
    {%- if is_backfill() -%}
    select
        {%- for kind in kinds %}
        max(_{{ kind }}_loaded_at) as {{ kind }}_loaded_at
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ this }}
    {%- else -%}
    select
        {%- for kind in kinds %}
        max(case when kind = '{{ kind }}' then loaded_at end) as {{ kind }}_loaded_at,
        min(case when kind = '{{ kind }}' then loaded_at end) as {{ kind }}_first_at
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ changes }}
    {%- endif %}
{%- endmacro %}

{#- How far the model had read; the beginning of time where it had read nothing. -#}
{% macro seen(times) -%}
    select
        {%- for time in times %}
        coalesce(max({{ time }}), cast('1970-01-01' as timestamp)) as {{ time }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ this }}
{%- endmacro %}

{#- The photos with a change that the model has not seen. When all rows of a replica are new to it,
    the replica was loaded whole and may lack rows that the model counted: then they are all photos
    that the model holds. -#}
{% macro touched(changes, kinds) -%}
    select changes.photo_id
    from {{ changes }} as changes
    cross join seen
    where
        {%- for kind in kinds %}
        {{ 'or ' if not loop.first -}}
        (changes.kind = '{{ kind }}' and changes.loaded_at > seen._{{ kind }}_loaded_at)
        {%- endfor %}

    union

    select held.photo_id
    from {{ this }} as held
    cross join seen
    cross join reached
    where
        {%- for kind in kinds %}
        {{ 'or ' if not loop.first -}}
        reached.{{ kind }}_first_at > seen._{{ kind }}_loaded_at
        {%- endfor %}
{%- endmacro %}

{#- The CTEs by which a mart of photos finds what is new to it: a photo that was loaded later than it
    had read, or whose engagement was merged later. In a backfill it looks for nothing new. -#}
{% macro new_of_photos_and_engagement() -%}
reached as (

    {{ reached(ref('stg_photo_changes'), ['photos']) }}

),

merged as (

    {% if is_backfill() -%}
    select max(_engagement_merged_at) as merged_at from {{ this }}
    {%- else -%}
    select max(_merged_at) as merged_at from {{ ref('int_engagement_daily') }}
    {%- endif %}

)
{%- if is_incremental() and not is_backfill() %},

seen as (

    {{ seen(['_photos_loaded_at', '_engagement_merged_at']) }}

),

touched as (

    {{ touched(ref('stg_photo_changes'), ['photos']) }}

    union

    select daily.photo_id
    from {{ ref('int_engagement_daily') }} as daily
    cross join seen
    where daily._merged_at > seen._engagement_merged_at

)
{%- endif %}
{%- endmacro %}
