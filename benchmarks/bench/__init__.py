"""What the benchmarks share: the data, a lake that is there already, fresh processes, the peers."""
