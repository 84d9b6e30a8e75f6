"""Data sets, backbones, recipes and runs: everything between class folders and a trained model."""
