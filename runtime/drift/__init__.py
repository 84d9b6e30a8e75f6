"""Watching for drift: does the line still look as it did, and is the model still as sure as it was?

`chart` holds the test and its false alarm rate, `figures` what is watched, `watch` the state over a run; all are pure.
`observer` feeds them from the judging thread without holding it up.
"""
