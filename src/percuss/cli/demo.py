"""percuss demo: synthetic tissue, a small classifier, its audit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from percuss.cli.options import Quiet, Verbose

DATA = "synthetic:tissue?n=320&size=64&mpp=0.75"
NETWORK = "timm:resnet10t"
EPOCHS = 14
BUDGETS = ("linf=0.5/255,1/255,2/255,4/255,8/255", "l2=0.25,0.5,1")
#: So short an audit shows how things look; for a verdict on a model give pgd its usual steps.
STEPS = 10
NOISE = {"noise": {"draws": 4}}


def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the model and the run.")] = Path("demo"),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Generate synthetic tissue, train a small classifier, audit it; about a minute, nothing is downloaded.

    The report is then OUT/report.html, with results.json and per_image.csv beside it; the model is OUT/model.
    """
    from percuss.cli.console import talk
    from percuss.defend.settings import make_settings
    from percuss.pipeline.audit import run_audit
    from percuss.pipeline.plan import make_plan
    from percuss.pipeline.training import TrainPlan, train

    say = talk(quiet=quiet)
    model = out / "model"
    say.line(
        f"demo in {out}: training {NETWORK} for {EPOCHS} epochs on synthetic tissue, then its audit; about a minute"
    )
    settings = make_settings(epochs=EPOCHS, seed=0, batch_size=32, augment="flips")
    train(TrainPlan(data=DATA, model=NETWORK, settings=settings), out=model, progress=say)
    plan = make_plan(data=DATA, model=str(model), split="test", budgets=BUDGETS, steps=STEPS, settings=NOISE)
    run = run_audit(plan, out=out / "run", progress=say, command=f"percuss demo --out {out}")
    for name in ("report.html", "results.json", "per_image.csv"):
        shutil.copyfile(run.path / name, out / name)
    if not quiet:
        print(run.summary)
        print(f"open {out / 'report.html'}")
