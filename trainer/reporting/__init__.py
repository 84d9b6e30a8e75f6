"""A run as one page: what was decided and why, what came of it, and its worst mistakes with what they rest on."""
