"""A fitted model: a classifier in its folder, or on the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path

from imuspec.prediction.classifier import FittedClassifier
from imuspec.prediction.folder import PEOPLE, read_folder, write_folder
from imuspec.prediction.hub import downloaded, uploaded

__all__ = ["Model", "load"]


class Model(FittedClassifier):
    """A classifier that `imuspec fit` made, with its folder; its fields are those of `FittedClassifier`.

    Examples
    --------
    >>> import imuspec
    >>> model = imuspec.load("models/hapt")  # doctest: +SKIP
    >>> model.predict(windows.x)  # doctest: +SKIP
    array(['walking', 'sitting'], dtype='<U8')
    """

    def save(self, path: str | Path) -> Path:
        """Write the model to a new folder, whole or not at all.

        Parameters
        ----------
        path : path
            Folder that does not exist yet.

        Raises
        ------
        FileExistsError
            If the folder has files.
        """
        return write_folder(self, path)

    @classmethod
    def from_pretrained(cls, name: str | Path) -> Model:
        """Return a model of a folder, or of a repository of the Hugging Face Hub.

        Parameters
        ----------
        name : str or path
            Folder, or ``organisation/name`` of a repository; huggingface_hub downloads it.

        Raises
        ------
        FileNotFoundError
            If there is no such folder, and the name is not of a repository.
        ImportError
            If the name is of a repository, and huggingface_hub is not installed.
        """
        return load(name if Path(name).exists() else downloaded(str(name)))

    def push_to_hub(self, repository: str, *, private: bool = True) -> str:
        """Upload the model to a repository of the Hugging Face Hub, without the names of the people.

        Parameters
        ----------
        repository : str
            ``organisation/name``; it is made if it does not exist.
        private : bool, default True
            Whether a new repository is private.

        Returns
        -------
        str
            Address of the repository.

        Raises
        ------
        ImportError
            If huggingface_hub is not installed.
        """
        with tempfile.TemporaryDirectory() as folder:
            return uploaded(self.save(Path(folder) / "model"), repository, private=private, ignored=[PEOPLE])


def load(path: str | Path) -> Model:
    """Return a fitted model of a folder.

    Parameters
    ----------
    path : path
        Folder that ``imuspec fit`` or `Model.save` wrote.

    Returns
    -------
    Model

    Raises
    ------
    FileNotFoundError
        If the folder has no model; the message names the command that makes one.
    ValueError
        If a file is not the one that was written.

    Examples
    --------
    >>> import imuspec
    >>> model = imuspec.load("models/hapt")  # doctest: +SKIP
    >>> probability = model.predict_proba(windows.x)  # doctest: +SKIP
    """
    return Model(**read_folder(path))
