"""What training runs on is made for the stages that tune."""

from tests.storage.precompute.conftest import data as data
from tests.storage.precompute.conftest import tiny_folder as tiny_folder
from tests.storage.precompute.conftest import work as work
