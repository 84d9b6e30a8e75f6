"""`edgetl tune`: which interpreter and how many threads are best for a bundle on this device, by measuring both here."""
