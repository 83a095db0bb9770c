"""The source as its own witness: read apart from the platform's way, to compare with."""
