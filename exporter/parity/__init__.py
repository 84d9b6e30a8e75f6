"""The parity report: the files that ship beside the trained network, picture by picture and machine by machine."""
