"""Options as a record, and the first that cannot be used named."""

import traceback

import pytest
from pydantic import BaseModel, model_validator

from percuss.core.checked import checked
from percuss.core.errors import UsageError


class Pair(BaseModel):
    """Two that must be alike."""

    one: int
    two: int

    @model_validator(mode="after")
    def _alike(self):
        if self.one != self.two:
            raise ValueError("two alike")
        return self


class Wanted(BaseModel):
    """Some options."""

    epochs: int = 1
    names: dict[str, int] = {}


def test_values_become_a_record():
    assert checked(Wanted, {"epochs": "3"}).epochs == 3


def test_the_first_that_cannot_be_used_is_named():
    with pytest.raises(UsageError, match=r"the setting names\.a cannot be used: x\. Allowed: .*integer"):
        checked(Wanted, {"names": {"a": "x"}}, word="setting")


def test_where_all_together_cannot_be_used_none_is_shown():
    with pytest.raises(UsageError, match=r"each setting can .* together cannot. Allowed: two alike") as caught:
        checked(Pair, {"one": 7151, "two": 2}, word="setting")
    told = "".join(traceback.format_exception(caught.value))
    assert "7151" not in str(caught.value) and "input_value" not in told
