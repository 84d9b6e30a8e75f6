"""How near a latency is to what the machine could do: work of the model, peak of the machine, and their ratio."""
