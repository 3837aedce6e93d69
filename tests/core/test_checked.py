"""Options as a record, and the first that cannot be used named."""

import pytest
from pydantic import BaseModel

from percuss.core.checked import checked
from percuss.core.errors import UsageError


class Wanted(BaseModel):
    """Some options."""

    epochs: int = 1
    names: dict[str, int] = {}


def test_values_become_a_record():
    assert checked(Wanted, {"epochs": "3"}).epochs == 3


def test_the_first_that_cannot_be_used_is_named():
    with pytest.raises(UsageError, match=r"the setting names\.a cannot be used: x\. Allowed: .*integer"):
        checked(Wanted, {"names": {"a": "x"}}, word="setting")
