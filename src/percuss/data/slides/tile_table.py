"""The columns of tiles.csv, which percuss tile writes and tiled: reads."""

from __future__ import annotations

#: Places in pixels of the slide's largest level; ``tumour`` is a share of all cells, ``judged`` the share of cells with
#: a judgement; hashes are SHA-256 of files.
COLUMNS = (
    "id", "path", "mask", "slide", "row", "column", "mpp", "size", "cell",
    "tumour", "judged", "annotation", "slide_sha256", "sha256", "mask_sha256",
)  # fmt: skip
