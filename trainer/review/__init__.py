"""Labelling by people: the pictures that a line kept, the most instructive first, and their way into the data set."""
