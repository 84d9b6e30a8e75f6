"""Looks at a data set before anything is trained on it: what is broken, doubled, lopsided, mislabelled or too small."""
