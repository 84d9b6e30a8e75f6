"""What is done with a bad part: a pulse to a pusher or valve when that part, and no other, is in front of it."""
