"""One part, one verdict: when a part is at the camera, what its frames say together, and what is done with it.

The state machines here take events and times and return values; threads, pins and sockets are in `runtime/triggers`
and `runtime/reject`.
"""
