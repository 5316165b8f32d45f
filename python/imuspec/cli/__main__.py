"""``python -m imuspec.cli``."""

from imuspec.cli import main

main()
