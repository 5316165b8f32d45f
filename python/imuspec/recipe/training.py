"""How a network is fitted: optimiser, learning rates, precision, what is kept on the way."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.recipe.settings import Settings

__all__ = ["TrainingSettings"]


class TrainingSettings(Settings):
    """Optimiser, course of the learning rate, precision and checkpoints of one training."""

    epochs: PositiveInt = Field(40, description="passes over the data")
    batch: PositiveInt = Field(256, description="items of one step, all processes together")
    optimiser: Literal["adam", "adamw", "sgd"] = Field("adam", description="which optimiser")
    base_lr: PositiveFloat = Field(1e-3, description="learning rate at the end of the warm-up")
    scale_lr: bool = Field(False, description="multiply the learning rates by batch / 256")
    warmup_epochs: NonNegativeFloat = Field(0.0, description="epochs in which the rate rises linearly to base_lr")
    start_lr: NonNegativeFloat = Field(0.0, description="learning rate at the first step of a warm-up")
    fall: Literal["cosine", "restarts", "linear", "exponential", "steps", "constant"] = Field(
        "cosine",
        description="how the rate goes from base_lr to end_lr after the warm-up; restarts: a cosine each epoch",
    )
    end_lr: NonNegativeFloat = Field(0.0, description="learning rate at the end of the last epoch")
    step_epochs: tuple[NonNegativeFloat, ...] = Field(
        (), description="fall = steps: epochs at which the rate is divided by 10"
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="Adam: decay of the mean gradient")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam: decay of the mean squared gradient")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD: momentum")
    weight_decay: NonNegativeFloat = Field(0.0, description="weight decay of every parameter that falls under it")
    clip: NonNegativeFloat = Field(0.0, description="largest norm of the gradient; 0 does not clip")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="arithmetic, as Fabric has it"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to compute; auto: a GPU if any")
    compile: bool = Field(False, description="compile the objective with torch.compile")
    channels_last: bool = Field(True, description="keep pictures and filters channels last, which is faster")
    seed: NonNegativeInt = Field(0, description="every random draw of the training follows from it")
    collapse_spread: NonNegativeFloat = Field(
        0.01, description="stop when the objective's figure spread is below this in 20 lines on end; 0: go on"
    )
    log_steps: PositiveInt = Field(10, description="steps between lines of metrics.jsonl")
    checkpoint_minutes: NonNegativeFloat = Field(10.0, description="time between checkpoints, min")
    checkpoint_steps: NonNegativeInt = Field(0, description="steps between checkpoints besides; 0: by the time alone")
