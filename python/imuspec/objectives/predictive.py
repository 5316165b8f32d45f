"""Contrastive predictive coding: from the past of a window tell its future frames from others."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from imuspec.encoders.cpc import Cpc, CpcOriginal
from imuspec.encoders.standardised import Standardised, bare

__all__ = ["PredictFrames", "PredictFramesOriginal", "frame_loss", "step_losses"]


def step_losses(predicted: Tensor, frames: Tensor) -> Tensor:
    """Pick the window's own frame among the batch's at the same step; mean cross-entropy of each step ``[k]``.

    ``loss_i = -1/B sum_b log(exp(p_bi . z_bi) / sum_a exp(p_bi . z_ai))``.

    Parameters
    ----------
    predicted, frames
        ``[B, k, width]``: what was said of the next k frames, and what they are.
    """
    scores = torch.einsum("bkc,akc->kba", predicted, frames)  # [k, B, B]
    return -scores.log_softmax(-1).diagonal(dim1=1, dim2=2).mean(1)


class PredictFramesOriginal(nn.Module):
    """CPC of 2021: from the context at a random frame ``t`` a linear map for each of the next ``n_steps`` frames.

    ``loss = mean_i step_loss_i`` with the batch's frames at the same step as negatives.

    Parameters
    ----------
    encoder
        The encoder to train.
    n_steps
        Frames to predict; 28 of a window of 50 samples.
    """

    def __init__(self, encoder: CpcOriginal | Standardised, *, n_steps: int = 28) -> None:
        super().__init__()
        self.encoder = encoder
        inner = cast("CpcOriginal", bare(encoder))
        self.maps = nn.ModuleList(nn.Linear(inner.n_features, inner.n_frame_features) for _ in range(n_steps))

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and figures of windows ``[B, axes, time]``; ``t`` is drawn from torch's generator, one for a batch."""
        n_steps = len(self.maps)
        if x.shape[-1] <= n_steps:
            raise ValueError(f"x: expected windows of more than {n_steps} samples, got {x.shape[-1]}")
        t = int(torch.randint(x.shape[-1] - n_steps, ()))
        inner = cast("CpcOriginal", bare(self.encoder))
        frames = inner.frames(x)  # [B, 128, time]
        now = inner.context(frames[..., : t + 1])[..., -1]  # [B, 256]
        predicted = torch.stack([linear(now) for linear in self.maps], 1)  # [B, k, 128]
        losses = step_losses(predicted, frames[..., t + 1 : t + 1 + n_steps].transpose(1, 2))
        return losses.mean(), {"first_step_loss": losses[0].detach(), "last_step_loss": losses[-1].detach()}

    def after_step(self) -> None:
        """Nothing is kept between steps."""


def frame_loss(predicted: Tensor, frames: Tensor, others: Tensor, *, offset: int) -> tuple[Tensor, Tensor]:
    """Pick the coming frame among others of the same window; mean cross-entropy and share picked right.

    Context frame ``t`` predicts frames ``t + offset + i``, ``i = 0 .. k - 1``, as far as the window reaches:
    ``loss = -mean log(exp(p_ti . z_s) / (exp(p_ti . z_s) + sum_n exp(p_ti . z_o(s, n))))`` with ``s = t + offset + i``.

    Parameters
    ----------
    predicted
        ``[B, frame, k, width]``.
    frames
        ``[B, frame, width]``.
    others
        Index of the n-th negative of each frame ``[B, frame, n]``.
    offset
        Frames to skip, that share samples with ``t``.
    """
    n_frames, n_steps = predicted.shape[1:3]
    own = torch.arange(n_frames, device=others.device).expand(len(others), -1)[..., None]
    candidates = torch.cat([own, others], -1)  # [B, frame, 1 + n], the true one first
    whole = predicted.flatten(1, 2) @ frames.transpose(1, 2)  # [B, frame k, frame]: a product, then a choice from it
    whole = whole.view(-1, n_frames, n_steps, n_frames)
    losses, right = [], []
    for i in range(min(n_steps, n_frames - offset)):
        ahead = offset + i
        scores = whole[:, : n_frames - ahead, i].gather(2, candidates[:, ahead:])  # [B, frame, 1 + n]
        losses.append(-scores.log_softmax(-1)[..., 0].flatten())
        right.append((scores.argmax(-1) == 0).float().flatten())
    return torch.cat(losses).mean(), torch.cat(right).mean()


class PredictFrames(nn.Module):
    """Enhanced CPC of 2023: from every context frame the next ``n_steps``, against frames of the same window.

    One transposed convolution makes all steps' predictions of a context frame.

    Parameters
    ----------
    encoder
        The encoder to train.
    n_steps
        Frames to predict; 10 to 12 were searched.
    n_negatives
        Other frames of the window, drawn for each frame from torch's generator; 10 to 15 were searched.
    """

    def __init__(self, encoder: Cpc | Standardised, *, n_steps: int = 12, n_negatives: int = 10) -> None:
        super().__init__()
        self.encoder, self.n_steps, self.n_negatives = encoder, n_steps, n_negatives
        inner = cast("Cpc", bare(encoder))
        self.predict = nn.ConvTranspose1d(inner.n_features, inner.n_frame_features, n_steps)

    def negatives(self, n_windows: int, n_frames: int, device: torch.device) -> Tensor:
        """Indices ``[B, frame, n]`` of other frames of the same window, each equally likely, never the frame itself."""
        drawn = torch.randint(n_frames - 1, (n_windows, n_frames, self.n_negatives), device=device)
        own = torch.arange(n_frames, device=device)[:, None]
        return drawn + (drawn >= own)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and figures of windows ``[B, axes, time]``."""
        inner = cast("Cpc", bare(self.encoder))
        frames = inner.frames(x)  # [B, 256, frame]
        n_windows, _, n_frames = frames.shape
        if n_frames <= inner.offset:
            raise ValueError(f"x: expected windows of more than {inner.offset} frames, got {n_frames}")
        context = inner.context(frames).transpose(1, 2)  # [B, frame, 256]
        taps = self.predict.weight.flatten(1)  # a transposed convolution of one sample is a product
        predicted = (context @ taps).view(n_windows, n_frames, -1, self.n_steps).transpose(2, 3)  # [B, frame, k, 256]
        if self.predict.bias is not None:
            predicted = predicted + self.predict.bias
        others = self.negatives(n_windows, n_frames, x.device)
        loss, right = frame_loss(predicted, frames.transpose(1, 2), others, offset=inner.offset)
        return loss, {"top1": right.detach()}

    def after_step(self) -> None:
        """Nothing is kept between steps."""
