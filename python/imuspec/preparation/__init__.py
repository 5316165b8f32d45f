"""One device file in, one `Prepared` out; see `imuspec.prepare`."""

from imuspec.preparation.preparation import Prepared, prepare, reason_in_words

__all__ = ["Prepared", "prepare", "reason_in_words"]
