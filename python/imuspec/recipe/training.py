"""Settings of a training: optimiser, learning rates, precision, log and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.recipe.settings import ABOVE_0, Settings, Values

__all__ = ["TrainingSettings"]


class TrainingSettings(Settings):
    """Optimiser, learning rates, precision, log and checkpoints of a training."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "start_lr": ("warmup_epochs", ABOVE_0),
        "end_lr": ("fall", ("cosine", "restarts", "linear", "exponential")),
        "step_epochs": ("fall", ("steps",)),
        "beta1": ("optimiser", ("adam", "adamw")),
        "beta2": ("optimiser", ("adam", "adamw")),
        "momentum": ("optimiser", ("sgd",)),
    }

    epochs: PositiveInt = Field(40, description="passes over the data")
    batch: PositiveInt = Field(256, description="items in a step, over all processes")
    optimiser: Literal["adam", "adamw", "sgd"] = Field("adam", description="name of the optimiser")
    base_lr: PositiveFloat = Field(1e-3, description="learning rate at the end of the warm-up")
    scale_lr: bool = Field(False, description="multiply all learning rates by batch / 256")
    warmup_epochs: NonNegativeFloat = Field(0.0, description="epochs of a linear rise of the learning rate to base_lr")
    start_lr: NonNegativeFloat = Field(0.0, description="learning rate at the first step of the warm-up")
    fall: Literal["cosine", "restarts", "linear", "exponential", "steps", "constant"] = Field(
        "cosine",
        description="shape of the fall from base_lr to end_lr after the warm-up; restarts: a cosine in each epoch",
    )
    end_lr: NonNegativeFloat = Field(0.0, description="learning rate at the end of the last epoch")
    step_epochs: tuple[NonNegativeFloat, ...] = Field(
        (), description="fall = steps: epochs at which the learning rate is divided by 10"
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="Adam: decay of the mean gradient")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam: decay of the mean squared gradient")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD: momentum")
    weight_decay: NonNegativeFloat = Field(
        0.0, description="weight decay; some objectives exclude norms, biases and tokens"
    )
    clip: NonNegativeFloat = Field(0.0, description="largest norm of the gradient; 0: no limit")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto",
        description="number format of the computation, as named by Fabric; auto: bf16-mixed on a GPU with bfloat16, else 32-true",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="device; auto: a GPU if there is one")
    compile: Literal["auto"] | bool = Field(
        "auto",
        description="compile the objective with torch.compile; auto: on a GPU, if the objective is one graph and the training "
        "has 2,000 steps or more",
    )
    graph: bool = Field(
        False, description="launch a step as one CUDA graph; for one GPU and batches of one shape, others run as usual"
    )
    channels_last: bool = Field(True, description="store pictures and filters with the channels last")
    tf32: bool = Field(
        True,
        description="GPU: convolutions of float32 round their factors to TF32, ten bits; matrix products never do",
    )
    deterministic: bool = Field(
        True, description="GPU: kernels that give the same bits each time, so that a resumed training does"
    )
    seed: NonNegativeInt = Field(0, description="seed of all random numbers of the training")
    collapse_spread: NonNegativeFloat = Field(
        0.01, description="stop if the metric spread is below this in 20 consecutive lines of the log; 0: never"
    )
    log_steps: PositiveInt = Field(10, description="steps between lines of metrics.jsonl")
    checkpoint_minutes: NonNegativeFloat = Field(10.0, description="time between checkpoints, min")
    checkpoint_steps: NonNegativeInt = Field(0, description="steps between additional checkpoints; 0: none")
