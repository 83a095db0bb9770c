"""The lake's net changes in the warehouse, and dbt in the Dagster run."""
