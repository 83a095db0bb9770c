"""Flickr's tables: the one place where a table is declared."""

from smug_platform.tables.table import Source, Table

FLICKR = Source(
    database="flickr",
    tables=(
        Table(
            name="accounts",
            domain="accounts",
            owner="team:accounts",
            description="One row a member account, on the shard that holds the member's data.",
            history=True,
            pii={"email": "email", "display_name": "name", "signup_ip": "network"},
            excluded=("password_hash",),
        ),
        Table(
            name="photos",
            domain="photos",
            owner="team:photos",
            description="One row an uploaded photo or video.",
            pii={"description": "free_text"},
        ),
        Table(
            name="albums",
            domain="photos",
            owner="team:photos",
            description="One row an album of one account.",
        ),
        Table(
            name="album_photos",
            key=("album_id", "photo_id"),
            domain="photos",
            owner="team:photos",
            description="One row a photo in an album.",
        ),
        Table(
            name="favorites",
            key=("account_id", "photo_id"),
            domain="community",
            owner="team:community",
            description="One row a photo that an account marked as favorite.",
        ),
        Table(
            name="comments",
            domain="community",
            owner="team:community",
            description="One row a comment on a photo.",
            pii={"body": "free_text"},
        ),
        Table(
            name="photo_views",
            key=(),
            key_scope="shard",
            domain="community",
            owner="team:community",
            description="One row a sampled page view; the source gives it no key.",
        ),
        Table(
            name="subscriptions",
            domain="commerce",
            owner="team:commerce",
            description="One row a paid subscription of an account.",
            history=True,
        ),
        Table(
            name="orders",
            domain="commerce",
            owner="team:commerce",
            description="One row a print order.",
            pii={"ship_to": "address"},
        ),
        Table(
            name="order_items",
            key=("order_id", "line_number"),
            domain="commerce",
            owner="team:commerce",
            description="One row a line of an order.",
        ),
        Table(
            name="licenses",
            domain="photos",
            owner="team:photos",
            description="Reference: the licenses a photo can carry, copied on every shard.",
            reference=True,
        ),
    ),
)
