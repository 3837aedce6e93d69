"""percuss study revoke: end somebody's access."""

from __future__ import annotations

from percuss.cli.options import Reason, StudyDatabase, StudyPath, StudyPerson, Verbose, Who


def revoke(
    study: StudyPath,
    *,
    name: StudyPerson,
    reason: Reason,
    who: Who = "administrator",
    database: StudyDatabase = None,
    verbose: Verbose = False,
) -> None:
    """End somebody's access to a study: link, code and every login. What they answered stays and counts."""
    from percuss.cli.study_open import opened

    with opened(study, database) as target:
        from percuss.study.access import revoke as shut_out

        shut_out(target, name, who=who, reason=reason)
    print(f"{name} has no access any more; percuss study renew gives it back")
