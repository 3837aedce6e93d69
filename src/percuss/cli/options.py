"""Options that several commands share, each written once: its type, its name and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from percuss.core.errors import UsageError

Option = typer.Option

AllowCode = Annotated[bool, Option("--allow-code", help="Let factory: run the code it names.")]
Augment = Annotated[str, Option(help="none, flips (mirror, quarter turns), rotate20, rotate20shift or rotate180zoom.")]
Balance = Annotated[
    int | None, Option(help="Fill up rarer classes with augmented copies, the same in each epoch, to so many images.")
]
BatchSize = Annotated[int, Option(help="Images at once; results do not depend on it.")]
ClassWeights = Annotated[bool, Option("--class-weights", help="Weigh rare classes more.")]
Device = Annotated[str, Option(help="auto, cpu or cuda.")]
Devices = Annotated[int, Option(help="Number of devices.")]
Epochs = Annotated[int, Option(help="At most so many passes over the training images.")]
EpochShare = Annotated[float, Option(help="Share of the training images that an epoch takes, drawn anew each time.")]
Epsilon = Annotated[float | None, Option(help="Term in Adam's division. Default 1e-8.")]
FinishedRun = Annotated[Path, typer.Argument(help="Run folder of percuss audit.")]
GreyInside = Annotated[bool, Option("--grey-inside", help="Let a colour network take grey images; changes stay grey.")]
ImagesSpec = Annotated[str, Option(help="Images: folder:PATH, csv:PATH, medmnist:PATH.npz or synthetic:tissue.")]
Limit = Annotated[int | None, Option(help="At most so many images, each class with its share.")]
Lr = Annotated[float | None, Option(help="Learning rate. Default adam(w) 0.001, sgd 0.05, adadelta 1.")]
LrDecay = Annotated[float | None, Option(help="Divide the rate by 1 + LR_DECAY * steps, as Keras' decay.")]
MinDelta = Annotated[float, Option(help="A loss must be lower by this much to count as lower.")]
ModelFolder = Annotated[Path, Option(help="Model folder to make, or to go on with.")]
Momentum = Annotated[float | None, Option(help="Nesterov momentum of sgd. Default 0.9.")]
Optimiser = Annotated[str, Option(help="adamw, adam, sgd or adadelta.")]
Precision = Annotated[str, Option(help="32, bf16 or 16 (mixed).")]
Pretrained = Annotated[bool, Option("--pretrained", help="Load the network's own pretrained weights.")]
Quiet = Annotated[bool, Option("--quiet", help="Say nothing but errors.")]
Region = Annotated[
    str | None, Option(help="Where pixels may change: mask (of the set), tissue, or the file of a mask.")
]
Restarts = Annotated[int | None, Option(help="Runs from fresh starts for images not yet flipped.")]
Reason = Annotated[str, Option(help="Why; stands in the audit trail.")]
ResultsJson = Annotated[bool, Option("--json", help="Print results.json on stdout.")]
RunBatchSize = Annotated[int | None, Option(min=1, help="Images at once; results do not depend on it.")]
RunData = Annotated[str | None, Option(help="The run's images, where they have moved.")]
RunDevice = Annotated[str | None, Option(help="auto, cpu or cuda.")]
RunFolderOut = Annotated[Path, Option(help="Run folder to make, or to go on with.")]
RunModel = Annotated[str | None, Option(help="The run's model, where it has moved.")]
RunThreads = Annotated[int | None, Option(min=1, help="Threads of the processor to use.")]
RunWeights = Annotated[str | None, Option(help="The run's weights, where they have moved.")]
Schedule = Annotated[str, Option(help="Learning rate over time: none, cosine, step or decades.")]
Seed = Annotated[int, Option(help="Decides all randomness.")]
Split = Annotated[str, Option(help="A split, all, or auto: test where there is one.")]
StartPretrained = Annotated[bool, Option("--pretrained", help="Start from the network's own pretrained weights.")]
StartWeights = Annotated[str | None, Option(help="Weights to start from: a .safetensors or .pt file.")]
Steps = Annotated[int | None, Option(help="Steps of the attacks that take steps.")]
StudyAddress = Annotated[str, Option(help="Where readers reach the server; the link begins with it.")]
StudyDatabase = Annotated[
    str | None,
    Option(help="URL of the study's database, where it has moved or its password is not in the environment."),
]
StudyJson = Annotated[bool, Option("--json", help="Print it as JSON on stdout.")]
StudyPath = Annotated[Path, typer.Argument(help="Folder of a study.", metavar="STUDY")]
StudyPerson = Annotated[str, Option("--name", help="Name as enrolled.")]
StudySecret = Annotated[Path | None, Option(help="File with the secret of the key. Default STUDY.key beside it.")]
Threads = Annotated[int | None, Option(help="Threads of the processor to use.")]
TrainBatchSize = Annotated[int, Option(help="Images per step, over all devices together.")]
TrainingJson = Annotated[bool, Option("--json", help="Print training.json on stdout.")]
Verbose = Annotated[bool, Option("--verbose", help="Show the traceback of an error.")]
WeightDecay = Annotated[float, Option(help="Decay of the weights.")]
Weights = Annotated[str | None, Option(help="Weights: a .safetensors or .pt file.")]
Who = Annotated[str, Option(help="Who decides it; stands in the audit trail.")]


def one_start(weights: str | Sequence[str] | None, *, pretrained: bool) -> None:
    """UsageError where files of weights and the networks' own pretrained ones are both asked for."""
    if pretrained and weights:
        value = weights if isinstance(weights, str) else ", ".join(weights)
        raise UsageError("--weights and --pretrained exclude each other", value=value)


def names_in(texts: Sequence[str] | None) -> list[str]:
    """The names of an option that is given by commas or repeated."""
    return [name.strip() for text in texts or () for name in text.split(",") if name.strip()]
