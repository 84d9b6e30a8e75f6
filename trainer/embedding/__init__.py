"""Features of pictures from a pretrained net: in a file, and what they tell apart with a handful of pictures a class."""
