"""One Iceberg table a source table, merged to one row a key."""
