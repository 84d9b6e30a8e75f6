"""The device's commands: parse, call one function, print one result."""
