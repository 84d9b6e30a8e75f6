"""Store and forward: results are kept on disk until every output has acknowledged them.

Nothing is imported here: every line's file has a `spool` section, few lines have a spool, and SQLite takes time to load.
"""
