"""Differences pooled over training seeds, as words and as a table."""

from __future__ import annotations

from collections.abc import Sequence

from percuss.core.comparison import CLEAN, Pooled
from percuss.report.comparison import WORST, chance, points
from percuss.report.numbers import percent, size_text
from percuss.report.sections import Section, Table

_HEAD = ("attack", "limit", "judged", "first right, mean", "second right, mean", "difference, points",
         "lowest and highest seed", "p", "p (Holm)")  # fmt: skip


def pooled_table(pooled: Sequence[Pooled]) -> Table:
    """No attack and the worst case first, then each attack."""
    order = sorted(pooled, key=lambda item: (item.attack != CLEAN, item.attack != WORST, item.attack))
    body = [
        (
            item.attack,
            "–" if item.attack == CLEAN else f"{item.norm} {size_text(item.budget)}",
            "as stored" if item.stored else "as float",
            percent(item.first),
            percent(item.second),
            points(item.difference),
            f"{_signed(min(item.each))} to {_signed(max(item.each))}",
            chance(item.p_value),
            chance(item.p_holm),
        )
        for item in order
    ]
    return Table(_HEAD, tuple(body), words=3, caption="first kind minus second, over all seeds")


def pooled_words(pooled: Sequence[Pooled]) -> list[str]:
    """How many seeds, and the sizes at which the pooled interval of the worst case leaves zero out."""
    seeds = pooled[0].seeds
    sure = [
        f"{points(item.difference)} within {item.budget}"
        for item in pooled
        if item.attack == WORST and not item.stored and _leaves_zero_out(item)
    ]
    start = f"Over {seeds} seed{'s' if seeds > 1 else ''}, first kind minus second in the worst case: "
    if not sure:
        return [start + "at no size does the interval over seeds and images leave zero out."]
    return [start + "; ".join(sure) + " points; at every other size the interval holds zero."]


def pooled_section(pooled: Sequence[Pooled]) -> Section:
    """The part of the page of a comparison."""
    words = (
        "Each seed's two models judge the same images. The interval is over seeds and images (patients) at once: the "
        f"variance of the seeds' means and that of the images' are added. {pooled[0].difference.method}.",
    )
    return Section("Over all training seeds", words, tables=(pooled_table(pooled),))


def _leaves_zero_out(item: Pooled) -> bool:
    low, high = item.difference.low, item.difference.high
    return low is not None and high is not None and (low > 0 or high < 0)


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")
