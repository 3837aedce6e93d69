"""Which tiles of an audit of heat maps are shown: by how much an attack raised the loss of their map."""

from __future__ import annotations

import random

import pandas as pd

from percuss.core.seeds import seed_of
from percuss.report.rows import Shown, is_control

#: Kinds of shown tiles, in order, and their words.
KINDS = {
    "most": "The loss of the heat map rose most",
    "middle": "From the middle of that order",
    "least": "The loss rose least",
    "normal": "Tiles without tumour, drawn at random",
}


def with_loss(rows: pd.DataFrame, maps: pd.DataFrame) -> pd.DataFrame:
    """The rows with ``clean_loss`` and ``loss_stored``: cross-entropy of the map, mean over cells.

    Args:
        rows: of rows.parquet.
        maps: of dense.parquet (``mask_rows.load_masks``).
    """
    keys = ["id", "attack", "norm", "budget"]
    clean = maps[maps["attack"] == "clean"].set_index("id")["loss"]
    stored = maps[maps["state"] == "stored"].set_index(keys)["loss"]
    found = stored.reindex(pd.MultiIndex.from_frame(rows[keys])).to_numpy()
    return rows.assign(clean_loss=rows["id"].map(clean), loss_stored=found)


def choose_heat(rows: pd.DataFrame, norm: str, run_id: str, *, each: int = 4) -> list[Shown]:
    """Tiles of one norm to show, at most ``each`` of a kind and none twice; of each tile the attack that did most.

    Args:
        rows: with ``clean_loss`` and ``loss_stored``.
        norm: the norm; ``run_id`` decides what is drawn.
        each: tiles of a kind at most.
    """
    kept = rows[(rows["norm"] == norm) & (rows["image"] != "") & ~rows["attack"].map(is_control).astype(bool)]
    rise = (kept["loss_stored"] - kept["clean_loss"]).fillna(0.0)
    kept = kept.assign(rise=rise).sort_values(["rise", "id"], ascending=[False, True], kind="stable")
    kept = kept.drop_duplicates("id")
    tumour = kept["label"].map(lambda text: "1" in str(text).split("|")).astype(bool)
    order, bare = _dicts(kept[tumour]), _dicts(kept[~tumour])
    most, left = order[:each], order[each:]
    least = left[-each:] if len(left) > each else []
    left = left[: len(left) - len(least)]
    start = max(0, (len(left) - each) // 2)
    drawn = random.Random(seed_of(run_id, norm, "tiles")).sample(bare, min(each, len(bare)))
    parts = {"most": most, "middle": left[start : start + each], "least": least, "normal": drawn}
    return [Shown(why, row) for why, some in parts.items() for row in some]


def _dicts(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
