"""Synthetic haematoxylin-eosin tissue: stains, layout, nuclei, scenes and slides."""
