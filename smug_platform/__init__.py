"""Every change of sharded MySQL in a lake, a warehouse and dashboards, seconds behind."""
