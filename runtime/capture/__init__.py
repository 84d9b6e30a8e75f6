"""Cameras in a process of their own, which can hang, crash and be killed without the line noticing more than a FAULT."""
