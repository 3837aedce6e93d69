"""A study at work: its recipe with values put in, its images, its folder, and what is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from percuss.core.recipe import Protocol, Recipe, Step
from percuss.data.spec import load_data
from percuss.pipeline.recipe import spread, values_of_set
from percuss.store.folder import RunFolder


@dataclass(frozen=True)
class Study:
    """A study at work.

    Attributes:
        recipe, values: what is done, with values put in; ``given``: options of the command for every block.
        data: spec by name of the data set.
        folder: of the run; ``state``: what is known of finished steps, by data set and step.
    """

    recipe: Recipe
    values: dict[str, Any]
    protocol: Protocol
    quick: bool
    data: dict[str, str]
    given: dict[str, Any]
    folder: RunFolder
    state: dict[str, dict[str, Any]]

    def place(self, name: str, step: str) -> str:
        """Folder of a step within the run: below its data set where there are several."""
        return step if len(self.data) == 1 else f"{name}/{step}"

    def values_on(self, name: str) -> dict[str, Any]:
        """The values that hold on a data set: the recipe's, and those that the engine knows (``recipe.BUILT_IN``)."""
        classes = load_data(self.data[name]).classes
        own = {"first_class": classes[0], "last_class": classes[-1]}
        return {**values_of_set(self.values, name), **own, "seed": self.given["seed"], "protocol": self.protocol}

    def steps_on(self, name: str) -> list[Step]:
        """The steps of the protocol on a data set, spread out, in order."""
        values = self.values_on(name)
        wanted = [step for step in self.recipe.steps if step.only in (None, self.protocol)]
        return [one for step in wanted for one in spread(step, values)]
