"""Binlog to change events: one Debezium engine a source shard."""
