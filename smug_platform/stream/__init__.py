"""Change events to Kinesis and back: producer, reader, claim check."""
