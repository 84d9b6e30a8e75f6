"""Pretraining of backbones on drawn pictures only: no photograph of anyone's, no download."""
