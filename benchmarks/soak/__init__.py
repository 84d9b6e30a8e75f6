"""The line for hours with everything around it failing: `python -m edgetl.benchmarks.soak BUNDLE --minutes 60`."""
