"""The page for people on the device, with metrics and health for machines: one small server in a thread of its own.

`view`, `metrics`, `health` and `editing` turn records into records; `sessions` says who may do what; `gallery` keeps the
pictures that are shown; `app` and `server` are the thin edge. Nothing here holds the judging thread up.
"""
