"""The device's side of flashing: two slots, a journal, and the pure decisions about which slot runs.

A release is a bundle on its way to a device. It waits in `staging/` until it has passed its rehearsal there, is moved into the
idle slot in one rename, and runs when the link `current` is swapped. What happened is in the journal; what it means
(`history`), what may come in (`admission`), what passes (`requirements`) and what runs (`start`) are pure functions of it.
"""
