"""`python -m edgetl`."""

from edgetl.cli import main

main()
