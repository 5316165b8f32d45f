"""Contrastive predictive coding: predict the future frames of a window from its past, and tell them from others."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from imuspec.encoders.cpc import Cpc, CpcOriginal
from imuspec.encoders.standardised import Standardised, bare
from imuspec.objectives.objective import Figures, Objective

__all__ = ["PredictFrames", "PredictFramesOriginal", "frame_loss", "step_losses"]


def step_losses(predicted: Tensor, frames: Tensor) -> Tensor:
    """Return the mean cross-entropy ``[k]`` of a window's own frame among the batch's frames at the same step.

    ``loss_i = -1/B sum_b log(exp(p_bi . z_bi) / sum_a exp(p_bi . z_ai))``.

    Parameters
    ----------
    predicted, frames : Tensor
        ``p`` and ``z``, ``[B, k, width]``: the predictions of the next k frames, and the frames.

    References
    ----------
    van den Oord, Li, Vinyals 2018, Representation learning with contrastive predictive coding, equation 4.
    """
    scores = torch.einsum("bkc,akc->kba", predicted, frames)  # [k, B, B]
    return -scores.log_softmax(-1).diagonal(dim1=1, dim2=2).mean(1)


class PredictFramesOriginal(Objective):
    """CPC of 2021: from the context at a random frame ``t`` a linear map for each of the next ``n_steps`` frames.

    The loss is the mean of `step_losses`: the batch's frames at the same step are the negatives.

    Parameters
    ----------
    encoder : CpcOriginal or Standardised
        The encoder to train.
    n_steps : int, default 28
        Frames to predict; 28 of a window of 50 samples.

    Raises
    ------
    ValueError
        If a window has no more samples than frames to predict.

    Notes
    -----
    Figures: ``first_step_loss`` and ``last_step_loss``.

    References
    ----------
    Haresamudram, Essa, Ploetz 2021, Contrastive predictive coding for human activity recognition.
    """

    def __init__(self, encoder: CpcOriginal | Standardised, *, n_steps: int = 28) -> None:
        super().__init__(encoder)
        inner = cast("CpcOriginal", bare(encoder))
        self.maps = nn.ModuleList(nn.Linear(inner.n_features, inner.n_frame_features) for _ in range(n_steps))

    def forward(self, x: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of windows ``[B, axes, time]``; ``t`` is drawn once for the batch."""
        n_steps = len(self.maps)
        if x.shape[-1] <= n_steps:
            raise ValueError(f"x: expected windows of more than {n_steps} samples, got {x.shape[-1]}")
        t = int(torch.randint(x.shape[-1] - n_steps, ()))
        inner = cast("CpcOriginal", bare(self.encoder))
        frames = inner.frames(x)  # [B, 128, time]
        now = inner.context(frames[..., : t + 1])[..., -1]  # [B, 256]
        predicted = torch.stack([linear(now) for linear in self.maps], 1)  # [B, k, 128]
        losses = step_losses(predicted, frames[..., t + 1 : t + 1 + n_steps].transpose(1, 2))  # [k]
        return losses.mean(), {"first_step_loss": losses[0].detach(), "last_step_loss": losses[-1].detach()}


def frame_loss(predicted: Tensor, frames: Tensor, others: Tensor, *, offset: int) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy of the coming frame among others of its window, and the share predicted.

    Context frame ``t`` predicts frames ``t + offset + i``, ``i = 0 .. k - 1``, as far as the window reaches:
    ``loss = -mean log(exp(p_ti . z_s) / (exp(p_ti . z_s) + sum_n exp(p_ti . z_o(s, n))))`` with ``s = t + offset + i``.

    Parameters
    ----------
    predicted : Tensor
        ``p``, ``[B, frame, k, width]``.
    frames : Tensor
        ``z``, ``[B, frame, width]``.
    others : Tensor
        ``o``, the index of the n-th negative of each frame ``[B, frame, n]``.
    offset : int
        Frames to skip, as they share samples with frame ``t``.
    """
    n_frames, n_steps = predicted.shape[1:3]
    own = torch.arange(n_frames, device=others.device).expand(len(others), -1)[..., None]  # [B, frame, 1]
    candidates = torch.cat([own, others], -1)  # [B, frame, 1 + n], the true one first
    whole = predicted.flatten(1, 2) @ frames.transpose(1, 2)  # [B, frame k, frame]: a product, then a choice from it
    whole = whole.view(-1, n_frames, n_steps, n_frames)
    losses, hits = [], []
    for i in range(min(n_steps, n_frames - offset)):
        ahead = offset + i
        scores = whole[:, : n_frames - ahead, i].gather(2, candidates[:, ahead:])  # [B, frame, 1 + n]
        losses.append(-scores.log_softmax(-1)[..., 0].flatten())
        hits.append((scores.argmax(-1) == 0).float().flatten())
    return torch.cat(losses).mean(), torch.cat(hits).mean()


class PredictFrames(Objective):
    """Enhanced CPC of 2023: from every context frame the next ``n_steps``, against frames of the same window.

    One transposed convolution predicts all steps of a context frame; the loss is `frame_loss`.

    Parameters
    ----------
    encoder : Cpc or Standardised
        The encoder to train.
    n_steps : int, default 12
        Frames to predict; the authors searched 10 to 12.
    n_negatives : int, default 10
        Other frames of the window, drawn for each frame from torch's generator; the authors searched 10 to 15.

    Raises
    ------
    ValueError
        If a window has no frame that shares no sample with its first.

    Notes
    -----
    Figure: ``top1``, the share of frames predicted.

    References
    ----------
    Haresamudram, Essa, Ploetz 2023, Investigating enhancements to contrastive predictive coding for human activity
    recognition.
    """

    def __init__(self, encoder: Cpc | Standardised, *, n_steps: int = 12, n_negatives: int = 10) -> None:
        super().__init__(encoder)
        self.n_steps, self.n_negatives = n_steps, n_negatives
        inner = cast("Cpc", bare(encoder))
        self.predict = nn.ConvTranspose1d(inner.n_features, inner.n_frame_features, n_steps)

    def negatives(self, n_windows: int, n_frames: int, device: torch.device) -> Tensor:
        """Draw indices ``[B, frame, n]`` of other frames of the same window, each equally likely."""
        drawn = torch.randint(n_frames - 1, (n_windows, n_frames, self.n_negatives), device=device)
        own = torch.arange(n_frames, device=device)[:, None]  # [frame, 1]
        return drawn + (drawn >= own)

    def forward(self, x: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of windows ``[B, axes, time]``."""
        inner = cast("Cpc", bare(self.encoder))
        frames = inner.frames(x)  # [B, 256, frame]
        n_windows, _, n_frames = frames.shape
        if n_frames <= inner.offset:
            raise ValueError(f"x: expected windows of more than {inner.offset} frames, got {n_frames}")
        context = inner.context(frames).transpose(1, 2)  # [B, frame, 256]
        taps = self.predict.weight.flatten(1)  # [256, 256 k]: a transposed convolution of one sample is a product
        predicted = (context @ taps).view(n_windows, n_frames, -1, self.n_steps).transpose(2, 3)  # [B, frame, k, 256]
        if self.predict.bias is not None:
            predicted = predicted + self.predict.bias
        others = self.negatives(n_windows, n_frames, x.device)  # [B, frame, n]
        loss, top1 = frame_loss(predicted, frames.transpose(1, 2), others, offset=inner.offset)
        return loss, {"top1": top1.detach()}
