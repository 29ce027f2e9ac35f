"""Data for tutorials and tests: files of the user's, files that are downloaded with their checksums, and data that are generated. Nothing is unpickled.

Every loader that reads a file takes the argument `folder`; the environment variable `BRIANLIKE_DATA` is its default.
"""

from ..encoders import latency as latency
from .events import EventLists as EventLists
from .events import EventSplit as EventSplit
from .files import Split as Split
from .files import split as split
from .generated import randman as randman
from .generated import yin_yang as yin_yang
from .images import digits as digits
from .images import fashion_mnist as fashion_mnist
from .shd import shd as shd
from .touch import braille as braille
