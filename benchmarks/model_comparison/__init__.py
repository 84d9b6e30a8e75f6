"""`edgetl compare`: which backbone suits a data set and a device, by training, exporting and timing each."""
