"""Data sets, backbones, recipes and runs: everything between class folders and a trained model."""

import os

# Threads of a matrix product that wait for each other do so asleep. Spinning is a little faster on an idle machine,
# but where another process shares the cores it has made an epoch ten times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
