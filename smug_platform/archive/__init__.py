"""The other branch of the stream: a sealed archive, replay from it, and erasure of a person."""
