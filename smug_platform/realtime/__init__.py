"""Numbers and SQL on the live stream, beside the lake and independent of it."""
