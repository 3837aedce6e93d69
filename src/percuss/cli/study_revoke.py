"""percuss study revoke: end somebody's access."""

from __future__ import annotations

import json
import shlex

from percuss.cli.options import Reason, StudyDatabase, StudyJson, StudyPath, StudyPerson, Verbose, Who
from percuss.cli.pasteable import Typed


def revoke(  # noqa: PLR0913
    study: StudyPath,
    *,
    name: StudyPerson,
    reason: Reason,
    who: Who = "administrator",
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """End somebody's access to a study: link, code and every login. What they answered stays and counts."""
    from percuss.cli.study_open import opened

    with opened(study, database) as target:
        from percuss.study.access import revoke as shut_out

        shut_out(target, name, who=who, reason=reason)
    if as_json:
        print(json.dumps({"name": name, "revoked": True}))
    else:
        back = Typed(study, database).command("renew", f"--name {shlex.quote(name)} --reason WHY")
        print(f"{name} has no access any more; {back} gives it back")
