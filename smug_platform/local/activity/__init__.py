"""What Flickr's members do, as SQL: the parts of the workload generator."""
