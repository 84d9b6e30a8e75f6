"""Kills a flash at every system call that writes, syncs, renames or links, and looks what the device would start with."""
