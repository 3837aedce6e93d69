"""Peak memory and time of creating a reader study, for numbers of cases: memory must not grow with them.

    python benchmarks/study_memory.py [--cases 60,200] [--side 512] [--deep] [--rounds 2] [--before FOLDER] [--json]

Images are drawn on demand (RGB of 8 bit, or with --deep grey of 16 bit), the model is a mean, and the attack takes two
steps, so that what is measured is the making of files: the original, the attack at two sizes, noise and the visible
mark, five files of each case. Each study is created in a process of its own, after an audit in another; its memory is
the largest that it held, beside what it held when all was imported. --before names the ``src`` of another checkout,
measured in turn with this one on the same audits; whether both made the same files is said.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.core.model import Model, ModelInfo

DEEP = PixelRange(0, 65535, 1, "level")


class Drawn(ImageSet):
    """Images of a smooth ground with noise on it, dark or bright by turns."""

    def __init__(self, count: int, side: int, *, deep: bool) -> None:
        entries = [Entry(f"image-{number:04}", number % 2) for number in range(count)]
        super().__init__(f"drawn:{count},{side},{deep}", "classify", ("dark", "bright"), entries)
        self.count, self.side, self.deep = count, side, deep

    def read(self, case_id: str) -> Case:
        """One image: its noise follows from its number."""
        number = int(case_id.rpartition("-")[2])
        rng, channels = np.random.default_rng(number), 1 if self.deep else 3
        most = 65535 if self.deep else 255
        ground = np.linspace(-0.1, 0.1, self.side) + (0.45 if number % 2 == 0 else 0.55)
        values = ground + rng.normal(0, 0.03, (channels, self.side, self.side))
        pixels = (values.clip(0, 1) * most).astype(np.int64)
        return Case(case_id, pixels, DEEP if self.deep else PixelRange(), np.array(number % 2))

    def fingerprint(self, case_id: str) -> str:
        """The id: it decides the pixels."""
        return case_id

    def subset(self, split: str | None = None, ids: Any = None) -> ImageSet:
        """All of it."""
        return self


class Mean(torch.nn.Module):
    """Bright where the mean is above one half."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(50.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Two logits for each image."""
        way = self.weight * (images.mean((1, 2, 3)) - 0.5)
        return torch.stack([-way, way], dim=1)


def source(given: argparse.Namespace, count: int) -> dict[str, Any]:
    """Images and model, for the audit and the study."""
    model = Model(Mean(), ModelInfo("mean", "classify", ("dark", "bright"), 1 if given.deep else 3))
    return {"data": Drawn(count, given.side, deep=given.deep), "model": model}


def audited(given: argparse.Namespace, run: Path) -> None:
    """An audit of as many images as the study takes."""
    from percuss.pipeline.interface import audit

    audit(out=run, budgets="linf=4/255,8/255", attacks="pgd", steps=2, checks="off", **source(given, given.count))


def created(given: argparse.Namespace, run: Path, out: Path) -> dict[str, Any]:
    """A study of all images of a run: seconds, MiB at the start and at the most, and a hash of all its files."""
    from percuss.pipeline.study_create import create_study
    from percuss.study.folder import StudyFolder
    from percuss.study.seal import load_key

    start, begun = resident(), time.perf_counter()
    made = create_study(run, out=out, cases=given.count, seed=1, **source(given, given.count))
    seconds, most = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    key = load_key(StudyFolder(made.path))
    size = sum(path.stat().st_size for path in (made.path / "images").iterdir()) / 2**20
    told = {"files": len(key.files), "files_mib": size, "protocol": key.frozen.hash}
    return {"seconds": seconds, "start_mib": start, "peak_mib": most, **told}


def resident() -> float:
    """MiB that this process holds now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) / 1024


def apart(given: argparse.Namespace, count: int, act: list[str], src: str) -> dict[str, Any]:
    """One act in a process of its own, with the package of ``src``, or as installed where it is empty."""
    command = [sys.executable, __file__, "--side", str(given.side), "--count", str(count), *act]
    command += ["--deep"] if given.deep else []
    known = {"OMP_NUM_THREADS": "1"} | ({"PYTHONPATH": src} if src else {})
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | known)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(given: argparse.Namespace, count: int) -> list[dict[str, Any]]:
    """Both versions in turn, each round beginning with the other one."""
    versions = {"now": ""} | ({"before": str(given.before.resolve())} if given.before else {})
    found = []
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        apart(given, count, ["--audit", str(run)], "")
        for turn in range(given.rounds):
            for name in list(versions)[:: 1 if turn % 2 else -1]:
                out = Path(folder) / f"{name}-{turn}"
                told = apart(given, count, ["--create", str(run), str(out)], versions[name])
                found.append({"cases": count, "version": name, "round": turn, **told})
                subprocess.run(["rm", "-r", str(out)], check=True)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="60,200", help="numbers of cases")
    parser.add_argument("--side", type=int, default=512, help="pixels of a side")
    parser.add_argument("--deep", action="store_true", help="grey images of 16 bit")
    parser.add_argument("--rounds", type=int, default=2, help="studies of each number and version")
    parser.add_argument("--before", type=Path, help="src folder of another checkout to compare with")
    parser.add_argument("--json", action="store_true", help="print a list instead of a table")
    for hidden, settings in (("--count", {"type": int}), ("--audit", {"type": Path}), ("--create", {"nargs": 2})):
        parser.add_argument(hidden, help=argparse.SUPPRESS, **settings)
    given = parser.parse_args()
    if given.audit:
        audited(given, given.audit)
        print(json.dumps({}))
    elif given.create:
        print(json.dumps(created(given, *map(Path, given.create))))
    else:
        tell([row for count in given.cases.split(",") for row in measure(given, int(count))], as_json=given.json)


def tell(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """The list, or a table and whether all versions made the same files."""
    if as_json:
        print(json.dumps(rows))
        return
    print("cases  files  MiB of files  version  seconds  start MiB  peak MiB  above start")
    for row in rows:
        above = row["peak_mib"] - row["start_mib"]
        print(
            f"{row['cases']:5} {row['files']:6} {row['files_mib']:13.0f}  {row['version']:7} {row['seconds']:8.1f}"
            f" {row['start_mib']:10.0f} {row['peak_mib']:9.0f} {above:12.0f}"
        )
    for count in sorted({row["cases"] for row in rows}):
        same = len({row["protocol"] for row in rows if row["cases"] == count}) == 1
        print(f"{count} cases: the files are {'the same' if same else 'NOT the same'} in all")


if __name__ == "__main__":
    main()
