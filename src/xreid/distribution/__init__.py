"""The same work on one process, on all of a machine, or on a cluster."""
