"""The whole source side on one machine: MariaDB shards, a Kinesis endpoint, a workload."""
