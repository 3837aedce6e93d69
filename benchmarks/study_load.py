"""Many readers of one study at once, the server killed in between: speed, and what became of every answer.

    python benchmarks/study_load.py [--readers 50] [--cases 12] [--kills 6] [--database sqlite|postgresql]

Readers are threads of this process, each with a connection of its own, who look at every image and answer at random as
fast as the server takes it; one answer in ten is corrected. The server is a process of its own, as
``percuss study serve`` starts it. First nobody kills anything: answers per second and the time from sending to "saved".
Then the server gets ``kill -9`` and is started again, the given number of times, at equal shares of the answers, on a
network that loses requests and replies and sends requests twice. PostgreSQL is a real server with its own defaults
(fsync on), begun and ended here; SQLite lies in the study's folder. Exit status 1 where an answer is lost, doubled or
invented, or ``percuss study verify`` finds anything.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tests.study.live import LiveServer
from tests.study.postgresql import Cluster, start_cluster
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.opening import OpenStudy
from percuss.study.verification.whole import verify_study
from percuss.testing.faults import Faults
from percuss.testing.study_load import Account, Crowd, account

#: Three channels of 224 x 224: about 150 KB an image.
SHAPE = (3, 224, 224)
BAD_NETWORK = Faults(lost=0.02, unanswered=0.02, twice=0.05)


@dataclass(frozen=True)
class Run:
    """One run: seconds from the first request to the last, seconds of each answer, and what became of them."""

    seconds: float
    latencies: np.ndarray
    acknowledged: int
    kills: int
    account: Account
    verdict: str
    sound: bool


def run(asked: argparse.Namespace, study: OpenStudy, *, kills: int) -> Run:
    """Enrol, read, kill as often as asked, and count."""
    codes = [enrol(study, f"reader {number}").code for number in range(asked.readers)]
    server = LiveServer(study)
    server.start()
    try:
        faults = BAD_NETWORK if kills else None
        crowd = Crowd(server.url, codes, corrected=0.1, faults=faults, patience=300)
        begun = time.perf_counter()
        crowd.start()
        done = 0
        least = asked.readers * study.public.trials
        for kill in range(1, kills + 1):
            if crowd.wait_for(least * kill // (kills + 1)):
                server.kill()
                server.start()
                done += 1
        crowd.finish()
        seconds = time.perf_counter() - begun
    finally:
        server.stop()
    found, verdict = account(study, crowd.journal), verify_study(study)
    sound = found.sound and verdict.sound
    journal = crowd.journal
    return Run(seconds, np.array(journal.latencies), len(journal.acknowledged), done, found, str(verdict), sound)


def measured(asked: argparse.Namespace, database: str, cluster: Cluster | None, *, kills: int) -> Run:
    """A new study on a new database, read by everybody."""
    with tempfile.TemporaryDirectory() as folder:
        study, _ = make(
            Path(folder) / "study",
            cases=asked.cases,
            readers=asked.readers,
            slots=asked.readers,
            shape=SHAPE,
            database=cluster.database() if cluster else None,
        )
        try:
            return run(asked, study, kills=kills)
        finally:
            study.database.close()


def told(database: str, run: Run) -> str:
    """A row of the table."""
    middle, high, most = (1000 * float(np.percentile(run.latencies, share)) for share in (50, 95, 99))
    a = run.account
    return (
        f"| {database} | {run.kills} | {run.acknowledged} | {run.acknowledged / run.seconds:.0f} "
        f"| {middle:.0f} | {high:.0f} | {most:.0f} | {a.stored} | {a.lost} | {a.twice} | {a.invented} "
        f"| {'sound' if run.sound else run.verdict} |"
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--cases", type=int, default=12, help="each in three arms")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    asked = parser.parse_args()
    names = ("database", "kills", "acknowledged", "per second", "ms, 50 %", "95 %", "99 %")
    print(f"| {' | '.join((*names, 'stored', 'lost', 'twice', 'invented', 'verify'))} |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    sound = True
    for database in asked.database or ("sqlite", "postgresql"):
        cluster = start_cluster(safe=True) if database == "postgresql" else None
        if cluster:
            os.environ["PERCUSS_STUDY_DATABASE_PASSWORD"] = cluster.password
        try:
            for kills in (0, asked.kills):
                done = measured(asked, database, cluster, kills=kills)
                sound = sound and done.sound
                print(told(database, done), flush=True)
        finally:
            if cluster:
                cluster.stop()
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
