"""The network as a graph of operators, rounded as int8 will round it: what the dearer rungs work on."""
