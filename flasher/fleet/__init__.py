"""Many devices: which there are, and in which order a release comes to them."""
