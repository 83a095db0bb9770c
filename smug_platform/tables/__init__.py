"""What is captured: one frozen record a table; everything else is derived from it."""
