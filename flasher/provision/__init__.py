"""Setting a device up: look at it, compare it with what it should be, change only what differs."""
