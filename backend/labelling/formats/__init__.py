"""Labels as files. The canonical form is read back without loss; the others are what other tools read.

Every one has the author, the scores and the comments, but for two that trainers read: TRL's stepwise supervision and
preference pairs have the columns that their documents name and no more.
"""

from backend.labelling.formats.canonical import read_labels, row
from backend.labelling.formats.registry import FORMATS, Format, file_format

__all__ = ["FORMATS", "Format", "file_format", "read_labels", "row"]
