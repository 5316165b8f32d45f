"""Pictures of 96 x 128: batches of uint8 and float32 into memory that is there, a single one, and what the canvas costs."""

from __future__ import annotations

import test_image
from rows import held, named, row, run


def images(rounds: int) -> None:
    """Batches of uint8 and float32, a single picture, and what the canvas costs."""
    fftw, pillow, vision = "pyfftw + cv2", "scipy + PIL", "torch + torchvision"
    for nfft, noverlap in test_image.USUAL:
        setting = f"{nfft}/{noverlap}"
        times = named(test_image.measure(256, nfft, noverlap, "uint8", threads=1, rounds=rounds))
        what = f"256 pictures uint8, {setting}, t1"
        row(what, times["imuspec"], times[fftw], held(5, 8))
        row(what, times["imuspec"], times[pillow], held(12))
        row(what, times["imuspec"], times[vision], held(20))
        row(what + ", fresh output", times["imuspec, fresh"], times[fftw], "")
        row(
            f"256 pictures uint8, {setting}, t1, bilinear",
            times["imuspec"],
            times["imuspec, canvas"],
            "must 1.5x at most",
        )
        times = named(test_image.measure(256, nfft, noverlap, "float32", threads=1, rounds=rounds))
        what = f"256 pictures float32, {setting}, t1"
        row(what, times["imuspec"], times[fftw], held(10, 20))
        row(what, times["imuspec"], times[vision], held(20))
        row(what + ", fresh output", times["imuspec, fresh"], times[fftw], "")
        times = named(test_image.measure(256, nfft, noverlap, "float32", threads=2, rounds=rounds))
        row(f"256 pictures float32, {setting}, t2", times["imuspec"], times[vision], held(15))
        times = named(test_image.measure(1, nfft, noverlap, "float32", threads=1, rounds=rounds))
        what = f"one picture float32, {setting}"
        row(what, times["imuspec"], times[fftw], held(7, 12))
        row(what, times["imuspec"], times[vision], held(9))
        row(what, times["imuspec"], times[pillow], held(16))


if __name__ == "__main__":
    run(images, __doc__)
