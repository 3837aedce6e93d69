"""What happens when pretrained weights cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from percuss.core.errors import ModelError, PercussError


@contextmanager
def downloading(spec: str, *, wanted: bool, plain: Callable[[], object] | None = None) -> Iterator[None]:
    """Within, a failed download becomes a ModelError that names the ways to go on without.

    ``plain`` builds the same network without download: where that fails too, its error is the one to tell.
    """
    try:
        yield
    except Exception as error:
        # Hubs and their clients raise many kinds, from OSError to their own; without a download nothing is hidden.
        if not wanted or isinstance(error, PercussError):
            raise
        if plain is not None:
            plain()
        raise ModelError(
            "the pretrained weights cannot be had",
            value=f"{spec} ({type(error).__name__})",
            next_step="leave out --pretrained to start from random weights, or give --weights FILE",
        ) from error
