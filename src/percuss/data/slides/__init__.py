"""Whole-slide images: readers, resolution, tissue rules, outlines and the folders of CAMELYON16."""
