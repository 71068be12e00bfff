"""The documents of the field, one file each: parse and build, and nothing else."""
