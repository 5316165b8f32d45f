"""Contrastive predictive coding (CPC): predict the next frames of a window, and distinguish them from other frames."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from imuspec.encoders.cpc import Cpc, CpcOriginal
from imuspec.encoders.standardised import Standardised, inner_encoder
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["PredictFrames", "PredictFramesOriginal", "frame_loss", "step_losses"]


def step_losses(predicted: Tensor, frames: Tensor) -> Tensor:
    """Return the InfoNCE loss of each step; the negatives are the frames of the other windows at the same step.

    ``loss_i = -1/B sum_b log(exp(p_bi . z_bi) / sum_a exp(p_bi . z_ai))``.

    Parameters
    ----------
    predicted, frames : Tensor
        ``p`` and ``z``, ``[B, k, width]``: predictions of the next k frames, and the frames themselves.

    Returns
    -------
    Tensor
        ``[k]``.

    References
    ----------
    van den Oord, Li, Vinyals 2018, Representation learning with contrastive predictive coding, equation 4.
    """
    scores = torch.einsum("bkc,akc->kba", predicted, frames)  # [k, B, B]
    return -scores.log_softmax(-1).diagonal(dim1=1, dim2=2).mean(1)


class PredictFramesOriginal(Objective):
    """CPC of 2021: predict the next ``n_steps`` frames from the context at a random frame ``t``.

    ``p_i = W_i c_t`` predicts frame ``t + i`` from the context ``c_t``, with one linear map ``W_i`` for each step. The
    loss is the mean of `step_losses`.

    Parameters
    ----------
    encoder : CpcOriginal or Standardised
        The encoder to train.
    n_steps : int, default 28
        Number of frames to predict. The paper predicts 28 in windows of 50 samples.

    Raises
    ------
    ValueError
        If a window has no more samples than frames to predict.

    Notes
    -----
    Metrics: ``first_step_loss`` and ``last_step_loss``, the losses of the nearest and the farthest frame.

    References
    ----------
    Haresamudram, Essa, Ploetz 2021, Contrastive predictive coding for human activity recognition.
    """

    def __init__(self, encoder: CpcOriginal | Standardised, *, n_steps: int = 28) -> None:
        super().__init__(encoder)
        inner = cast("CpcOriginal", inner_encoder(encoder))
        self.maps = nn.ModuleList(nn.Linear(inner.n_features, inner.n_frame_features) for _ in range(n_steps))

    def forward(self, x: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics. All windows of the batch have the same random ``t``.

        Parameters
        ----------
        x : Tensor
            Windows ``[B, axes, time]``.
        """
        n_steps = len(self.maps)
        if x.shape[-1] <= n_steps:
            raise ValueError(f"x: expected windows of more than {n_steps} samples, got {x.shape[-1]}")
        t = int(torch.randint(x.shape[-1] - n_steps, ()))
        inner = cast("CpcOriginal", inner_encoder(self.encoder))
        frames = inner.frames(x)  # [B, 128, time]
        context = inner.context(frames[..., : t + 1])[..., -1]  # [B, 256]
        predicted = torch.stack([linear(context) for linear in self.maps], 1)  # [B, k, 128]
        following = frames[..., t + 1 : t + 1 + n_steps].transpose(1, 2)  # [B, k, 128]
        losses = step_losses(predicted, following)  # [k]
        return losses.mean(), {"first_step_loss": losses[0].detach(), "last_step_loss": losses[-1].detach()}


def frame_loss(predicted: Tensor, frames: Tensor, others: Tensor, *, offset: int) -> tuple[Tensor, Tensor]:
    """Return the InfoNCE loss of enhanced CPC, whose negatives are frames of the same window, and its accuracy.

    Context frame ``t`` predicts the frames ``s = t + offset + i``, ``i = 0 .. k - 1``, that are inside the window:
    ``loss = -mean log(exp(p_ti . z_s) / (exp(p_ti . z_s) + sum_n exp(p_ti . z_o(s, n))))``.

    Parameters
    ----------
    predicted : Tensor
        ``p``, predictions ``[B, frame, k, width]``.
    frames : Tensor
        ``z``, frames ``[B, frame, width]``.
    others : Tensor
        ``o``, indices ``[B, frame, n]`` of the negatives of each frame.
    offset : int
        Distance from ``t`` to the first frame that shares no sample with it.

    Returns
    -------
    loss, accuracy : Tensor
        The loss, and the share of predictions that are closest to the true frame, both scalars.
    """
    n_frames, n_steps = predicted.shape[1:3]
    own = torch.arange(n_frames, device=others.device).expand(len(others), -1)[..., None]  # [B, frame, 1]
    candidates = torch.cat([own, others], -1)  # [B, frame, 1 + n], the true frame first
    # one matrix product for all pairs of frames, then a selection, is faster than products of the selected pairs
    products = predicted.flatten(1, 2) @ frames.transpose(1, 2)  # [B, frame * k, frame]
    products = products.view(-1, n_frames, n_steps, n_frames)  # [B, frame t, k, frame s]
    losses, hits = [], []
    for i in range(min(n_steps, n_frames - offset)):
        ahead = offset + i
        scores = products[:, : n_frames - ahead, i].gather(2, candidates[:, ahead:])  # [B, frame, 1 + n]
        losses.append(-scores.log_softmax(-1)[..., 0].flatten())
        hits.append((scores.argmax(-1) == 0).float().flatten())
    return torch.cat(losses).mean(), torch.cat(hits).mean()


class PredictFrames(Objective):
    """Enhanced CPC of 2023: every context frame predicts the next ``n_steps`` frames of its window.

    One transposed convolution predicts all steps of a context frame. The loss is `frame_loss`.

    Parameters
    ----------
    encoder : Cpc or Standardised
        The encoder to train.
    n_steps : int, default 12
        Number of frames to predict from each context frame. The authors searched 10 to 12.
    n_negatives : int, default 10
        Number of negatives: other frames of the window, drawn for each frame from torch's generator. The authors searched
        10 to 15.

    Raises
    ------
    ValueError
        If every frame of a window shares a sample with its first frame.

    Notes
    -----
    Metric: ``top1``, the share of predictions that are closest to the true frame.

    References
    ----------
    Haresamudram, Essa, Ploetz 2023, Investigating enhancements to contrastive predictive coding for human activity
    recognition.
    """

    def __init__(self, encoder: Cpc | Standardised, *, n_steps: int = 12, n_negatives: int = 10) -> None:
        super().__init__(encoder)
        self.n_steps, self.n_negatives = n_steps, n_negatives
        inner = cast("Cpc", inner_encoder(encoder))
        self.predict = nn.ConvTranspose1d(inner.n_features, inner.n_frame_features, n_steps)

    def negatives(self, n_windows: int, n_frames: int, device: torch.device) -> Tensor:
        """Draw the negatives of each frame, uniformly from the other frames of its window.

        Parameters
        ----------
        n_windows, n_frames : int
            Number of windows, and of frames in each.
        device : torch.device
            Device of the result.

        Returns
        -------
        Tensor
            Indices of frames, int64 ``[B, frame, n]``.
        """
        drawn = torch.randint(n_frames - 1, (n_windows, n_frames, self.n_negatives), device=device)
        own = torch.arange(n_frames, device=device)[:, None]  # [frame, 1]
        return drawn + (drawn >= own)

    def forward(self, x: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        x : Tensor
            Windows ``[B, axes, time]``.
        """
        inner = cast("Cpc", inner_encoder(self.encoder))
        frames = inner.frames(x)  # [B, 256, frame]
        n_windows, _, n_frames = frames.shape
        if n_frames <= inner.offset:
            raise ValueError(f"x: expected windows of more than {inner.offset} frames, got {n_frames}")
        context = inner.context(frames).transpose(1, 2)  # [B, frame, 256]
        weights = self.predict.weight.flatten(1)  # [256, 256 * k]
        products = context @ weights  # [B, frame, 256 * k]: a transposed convolution of one frame is a matrix product
        predicted = products.view(n_windows, n_frames, -1, self.n_steps).transpose(2, 3)  # [B, frame, k, 256]
        if self.predict.bias is not None:
            predicted = predicted + self.predict.bias
        others = self.negatives(n_windows, n_frames, x.device)  # [B, frame, n]
        loss, top1 = frame_loss(predicted, frames.transpose(1, 2), others, offset=inner.offset)
        return loss, {"top1": top1.detach()}
