"""percuss study serve: the app that readers open in their browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from percuss.cli.options import StudyDatabase, StudyPath, Verbose

Option = typer.Option


def serve(  # noqa: PLR0913
    study: StudyPath,
    *,
    port: Annotated[int, Option(help="Port to listen at; 0 takes a free one.")] = 8000,
    host: Annotated[str, Option(help="Address to listen at; the default is reached from this machine alone.")] = (
        "127.0.0.1"
    ),
    certificate: Annotated[Path | None, Option(help="TLS certificate with its chain, PEM; needs --key-file.")] = None,
    key_file: Annotated[Path | None, Option(help="Private key of the certificate, PEM.")] = None,
    proxy: Annotated[
        bool, Option("--proxy", help="A reverse proxy on this machine ends TLS and says where requests come from.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        Option(help="Further name that readers' browsers ask for, NAME or NAME:PORT: of a proxy or a certificate."),
    ] = None,
    database: StudyDatabase = None,
    verbose: Verbose = False,
) -> None:
    """Serve a study to its readers until Ctrl-C or SIGTERM; started again, everybody goes on where they were.

    Without TLS it should be reached from this machine alone; docs/study-serve.md shows a reverse proxy and a service.
    """
    from percuss.cli.study_open import opened

    with opened(study, database) as target:
        from percuss.study.app.serving import Address
        from percuss.study.app.serving import serve as run

        at = Address(host, port, tuple(allow_host or ()))
        run(target, at, certificate=certificate, key=key_file, proxy=proxy)
