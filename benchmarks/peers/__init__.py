"""What the comparisons with other programs share: their environments, their training loops, and how rounds are put together."""
