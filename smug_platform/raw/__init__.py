"""Every delta, forever: one append-only Iceberg table."""
