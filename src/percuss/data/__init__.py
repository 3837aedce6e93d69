"""Readers: one file per on-disk format, each giving an ImageSet."""
