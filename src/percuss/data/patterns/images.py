"""synthetic:patterns, coloured shapes drawn when read, with the class of every pixel: a set of task segment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.core.seeds import seed_of
from percuss.data.options import check_names, choice, spec_text, whole
from percuss.data.patterns.scene import CLASSES, RECIPE, pattern
from percuss.data.splits import choose

OPTIONS = ("task", "n", "size", "seed", "tries")


@dataclass(frozen=True)
class Settings:
    """The options: number of patterns, side in pixels, seed, shapes tried on each."""

    n: int = 400
    size: int = 64
    seed: int = 0
    tries: int = 12


class PatternSet(ImageSet):
    """Patterns that are drawn when read; each from its own seed, so order and number of reads do not matter."""

    def __init__(self, spec: str, settings: Settings, entries: Sequence[Entry]) -> None:
        super().__init__(spec, "segment", CLASSES, entries)
        self.settings = settings

    def read(self, case_id: str) -> Case:
        """One pattern ``[3, size, size]`` uint8; target its class map, ``instances`` the number of the shape."""
        use = self.settings
        self.entry(case_id)
        drawn = pattern(seed_of(use.seed, case_id), side=use.size, tries=use.tries)
        return Case(case_id, drawn.image, PixelRange(0, 255), drawn.classes, instances=drawn.instances)

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the recipe: its version, the settings that decide the pattern, and the id."""
        use = self.settings
        recipe = (RECIPE, use.seed, use.size, use.tries, self.entry(case_id).id)
        return hashlib.sha256(repr(recipe).encode()).hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> PatternSet:
        """The same set limited to a split or to some ids, order kept."""
        return PatternSet(self.spec, self.settings, choose(self.entries, split, ids))


def open_patterns(options: Mapping[str, str]) -> PatternSet:
    """Patterns in splits of 60:20:20.

    Options: ``n`` (5 and more), ``size`` (pixels, 16 to 4096), ``seed``, ``tries`` (shapes tried on each, 0 to 10000),
    ``task=segment``, which they have in any case.
    DataError where one is unknown or out of its range.
    """
    check_names(options, OPTIONS, "synthetic:patterns")
    choice(options, "task", ("segment",))
    asked = {
        "n": whole(options, "n", low=5, high=1_000_000),
        "size": whole(options, "size", low=16, high=4096),
        "seed": whole(options, "seed", low=0, high=2**31 - 1),
        "tries": whole(options, "tries", low=0, high=10_000),
    }
    use = Settings(**{name: value for name, value in asked.items() if value is not None})
    # The target of an entry is no class here: what a pattern shows is known when it is drawn.
    splits = ("train", "val", "train", "test", "train")
    entries = [Entry(f"S{index:05d}", 0, splits[index % 5]) for index in range(use.n)]
    return PatternSet(spec_text("synthetic", "patterns", options), use, entries)
