"""Libraries of the distribution's own, which its package of ours leaves where they are.

``make install`` copies what it needs.  A distribution's package has a link ``distribution`` beside ours instead:
some libraries are many files, and some are optional.  It is only followed for mail that takes one of them.
"""

import os
import sys

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "distribution")


def add_distribution() -> None:
    """Let modules be found there too, behind all others."""
    if FOLDER not in sys.path and os.path.isdir(FOLDER):
        sys.path.append(FOLDER)
