"""edgetl run as a service: systemd is told what is true, signals are obeyed, heat is watched, the journal gets fields."""
