"""One device file in, one `Prepared` out; see `imuspec.prepare`."""

from imuspec.preparation.preparation import Prepared, prepare, prepare_in_pieces, reason_in_words

__all__ = ["Prepared", "prepare", "prepare_in_pieces", "reason_in_words"]
