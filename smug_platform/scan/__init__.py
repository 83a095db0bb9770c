"""JSON texts read into columns by compiled loops over their bytes, all texts of a batch at once."""
