"""Models: one file per source, each giving a Model."""
