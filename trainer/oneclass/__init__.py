"""Training from good parts alone: feature maps of a pretrained backbone, a bank of patches, a threshold."""
