"""Killed at any moment, the same call finishes the run with the same rows."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest

from percuss.core.errors import RunError
from percuss.pipeline import audit as steps
from percuss.pipeline import parts
from percuss.pipeline.progress import Progress
from percuss.store.folder import RunFolder

HERE = Path(__file__).parent
KILLED = """
    import json, os, random, signal, sys, time
    sys.path.insert(0, sys.argv[1])
    import torch
    torch.set_num_threads(1)
    from conftest import SMALL, TISSUE, fitted
    from percuss.core.model import Model, ModelInfo
    from percuss.data.spec import load_data
    from percuss.pipeline.interface import audit

    data = load_data(TISSUE)
    net = fitted(*data.tensors())
    model = Model(net, ModelInfo("colour", "classify", ("normal", "tumour"), 3, weights="given"))
    rng, kills, out, begun = random.Random(5), 0, sys.argv[2], time.monotonic()
    while True:
        child = os.fork()
        if child == 0:
            audit(data=data, model=model, out=out, **SMALL)
            os._exit(0)
        if kills < 6:
            # Longer each time, so that the run gets on and dies in every stage.
            time.sleep(rng.uniform(0.3, 0.6) * (1 + kills / 3))
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills += 1
            continue
        print(json.dumps({"kills": kills, "code": os.WEXITSTATUS(status)}))
        break
"""

STOPPED = """
    import json, os, random, signal, sys
    sys.path.insert(0, sys.argv[1])
    import torch
    torch.set_num_threads(1)
    from conftest import TISSUE, fitted
    from percuss.core.model import Model, ModelInfo
    from percuss.data.spec import load_data
    from percuss.pipeline.interface import audit

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored from birth behind a shell
    data, out, options = load_data(TISSUE), sys.argv[2], json.loads(sys.argv[3])
    net = fitted(*data.tensors())
    model = Model(net, ModelInfo("colour", "classify", ("normal", "tumour"), 3, weights="given"))

    def run(out, at, how):
        # Dies at a tick: each forward pass and each write to disk is one.
        ticks, fsync = [0], os.fsync

        def tick(*_):
            ticks[0] += 1
            if ticks[0] == at:
                os.kill(os.getpid(), how)

        net.register_forward_pre_hook(tick)
        os.fsync = lambda handle: (tick(), fsync(handle))
        try:
            audit(data=data, model=model, out=out, **options)
        except KeyboardInterrupt:
            os._exit(3)
        with open(out + ".ticks", "w") as file:
            file.write(str(ticks[0]))
        os._exit(0)

    def child(*what):
        pid = os.fork()
        if pid == 0:
            run(*what)
        _, status = os.waitpid(pid, 0)
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    assert child(out + "-whole", 0, 0) == 0
    total = int(open(out + "-whole.ticks").read())
    rng, ends, parts = random.Random(7), [], []
    for number in range(6):
        how = (signal.SIGKILL, signal.SIGINT)[number % 2]
        ends.append(child(out, rng.randint(1, total // 5), how))
        parts.append(len([name for name in os.listdir(out + "/parts")]) if os.path.isdir(out + "/parts") else 0)
    ends.append(child(out, 0, 0))
    print(json.dumps({"ends": ends, "parts": parts, "ticks": [total, int(open(out + ".ticks").read())]}))
"""

FULL = """
    import resource, signal, sys
    sys.path.insert(0, sys.argv[1])
    import torch
    torch.set_num_threads(1)
    from conftest import SMALL, TISSUE, fitted
    from percuss.core.errors import RunError
    from percuss.core.model import Model, ModelInfo
    from percuss.data.spec import load_data
    from percuss.pipeline.interface import audit

    data = load_data(TISSUE)
    net = fitted(*data.tensors())
    model = Model(net, ModelInfo("colour", "classify", ("normal", "tumour"), 3, weights="given"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12000, before[1]))
    try:
        audit(data=data, model=model, out=sys.argv[2], **SMALL)
    except RunError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    audit(data=data, model=model, out=sys.argv[2], **SMALL)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_killed_again_and_again_the_rows_are_the_same(tmp_path, finished):
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))
    command = [sys.executable, str(script), str(HERE), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert said["code"] == 0 and said["kills"] >= 2, (said, done.stderr)
    for name in ("rows.parquet", "clean.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "run" / name), pd.read_parquet(finished.path / name))
    assert RunFolder.existing(tmp_path / "run").damaged() == []


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
@pytest.mark.parametrize(
    "options",
    [
        {"suite": "standard", "budgets": ["linf=2/255,6/255"], "checks": "quick"},
        {"curve": ["linf=0.5/255:8/255:3", "l2=0.1:1:2"], "attacks": "curve,noise", "checks": "off"},
    ],
    ids=["suite", "curve"],
)
def test_stopped_at_random_places_the_numbers_are_the_same(tmp_path, options):
    """Three kills and three interrupts, each within a forward pass or a write, then to the end: every number equal."""
    script = tmp_path / "stopped.py"
    script.write_text(textwrap.dedent(STOPPED))
    given = json.dumps({"effort": "quick", "split": "all", "limit": 33, "batch_size": 16, **options})
    command = [sys.executable, str(script), str(HERE), str(tmp_path / "run"), given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert said["ends"] == [-9, 3, -9, 3, -9, 3, 0], (said, done.stderr)
    # What was finished before the last stop was not made again.
    assert said["parts"] == sorted(said["parts"]) and said["parts"][-1] > 0
    assert said["ticks"][1] < said["ticks"][0]
    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("run", "run-whole"))
    assert numbers(one) == numbers(other) and len(one["curves"]) > 2
    for name in ("rows.parquet", "clean.parquet"):
        pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / home / name) for home in ("run", "run-whole")))
    assert RunFolder.existing(tmp_path / "run").damaged() == []


def numbers(record):
    """A record without what a clock says, and without the command, which names the folder."""
    if isinstance(record, dict):
        return {name: numbers(value) for name, value in record.items() if name not in LEFT_OUT}
    return [numbers(value) for value in record] if isinstance(record, list) else record


LEFT_OUT = ("started", "finished", "seconds", "created", "command")


class Stop(Progress):
    """Interrupts after some units."""

    def __init__(self, after):
        self.left = after

    def advance(self, count=1):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_interrupted_run_goes_on_with_what_is_missing(small, finished, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "run", progress=Stop(6))
    done = len(list((tmp_path / "run" / "parts").glob("attack-*.parquet")))
    assert 0 < done < 8
    calls = []
    real = parts.run_attack
    monkeypatch.setattr(parts, "run_attack", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    assert small(tmp_path / "run").rows.equals(finished.rows)
    assert len(calls) == 8 - done


def test_damaged_part_is_computed_again(small, finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "run", progress=Stop(8))
    broken = sorted((tmp_path / "run" / "parts").glob("attack-*.parquet"))
    content = bytearray(broken[0].read_bytes())
    content[len(content) // 3] ^= 0xFF
    broken[0].write_bytes(bytes(content))
    pictures = sorted((tmp_path / "run" / "parts").rglob("*.png"))
    pictures[-1].write_bytes(b"")
    assert small(tmp_path / "run").rows.equals(finished.rows)


def test_full_disk_then_space_again(small, finished, tmp_path, monkeypatch):
    import errno
    import os

    count, real = [0], os.fsync

    def full(handle):
        count[0] += 1
        if count[0] > 110:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="disk is full.*same command again"):
        small(tmp_path / "run")
    monkeypatch.setattr(os, "fsync", real)
    assert small(tmp_path / "run").rows.equals(finished.rows)


def test_kill_between_rows_and_report(small, finished, tmp_path, monkeypatch):
    def die(_folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "write_outcome", die)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "run")
    monkeypatch.undo()
    again = small(tmp_path / "run")
    assert again.rows.equals(finished.rows) and again.report.exists()


def test_kill_before_the_parts_are_dropped(small, finished, tmp_path, monkeypatch):
    def die(_folder, _name):
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "drop", die)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "run")
    monkeypatch.undo()
    assert (tmp_path / "run" / "parts").is_dir()
    again = small(tmp_path / "run")
    assert again.rows.equals(finished.rows) and not (tmp_path / "run" / "parts").exists()


def test_file_that_outgrows_its_limit_then_room_again(finished, tmp_path):
    """A real write that fails half way (the limit of a file's size), not a pretended one."""
    script = tmp_path / "full.py"
    script.write_text(textwrap.dedent(FULL))
    command = [sys.executable, str(script), str(HERE), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "the disk is full" in done.stdout and "same command again" in done.stdout
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "run" / "rows.parquet"), finished.rows)
