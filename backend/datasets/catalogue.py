"""Where the public datasets are published, under which licence, and the hashes of the files where these are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from backend.datasets.movielens import LICENCE as GROUPLENS


@dataclass(frozen=True)
class Source:
    """One file. ``hash``: pooch's spelling (``sha256:...``); empty where its publisher names none."""

    url: str
    hash: str = ""

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Published:
    """A dataset with its files, the format that reads them, and what its makers ask for (on ``page``)."""

    title: str
    format: str
    sources: tuple[Source, ...]
    licence: str
    page: str


_ML = "https://files.grouplens.org/datasets/movielens"
_AMAZON_2018 = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2"
_AMAZON_2023 = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw"
_UCSD = "For research, with citation of the paper that its page names; no warranty"

CATALOGUE: Mapping[str, Published] = MappingProxyType(
    {
        "ml-1m": Published(
            "MovieLens 1M", "ml-1m",
            (Source(f"{_ML}/ml-1m.zip", "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),),
            GROUPLENS, "https://grouplens.org/datasets/movielens/1m/",
        ),
        "ml-100k": Published(
            "MovieLens 100K", "ml-100k", (Source(f"{_ML}/ml-100k.zip", "md5:0e33842e24a9c977be4e0107933c0723"),),
            GROUPLENS, "https://grouplens.org/datasets/movielens/100k/",
        ),
        "ml-25m": Published(
            "MovieLens 25M", "ml-csv", (Source(f"{_ML}/ml-25m.zip", "md5:6b51fb2759a8657d3bfcbfc42b592ada"),),
            GROUPLENS, "https://grouplens.org/datasets/movielens/25m/",
        ),
        "ml-32m": Published(
            "MovieLens 32M", "ml-csv",
            (Source(f"{_ML}/ml-32m.zip", "sha256:e4a68655d7386b8f95f2f2424b2ff975dfdd15ffd59e0d864a14dca43e99d6ee"),),
            GROUPLENS, "https://grouplens.org/datasets/movielens/32m/",
        ),
        "bookcrossing": Published(
            "BookCrossing", "bookcrossing",
            (Source("http://www2.informatik.uni-freiburg.de/~cziegler/BX/BX-CSV-Dump.zip"),),
            "Free for research, with acknowledgement of its makers (Ziegler et al., WWW 2005)",
            "http://www2.informatik.uni-freiburg.de/~cziegler/BX/",
        ),
        "amazon-2018": Published(
            "Amazon Movies & TV 2018", "amazon-2018",
            (
                Source(f"{_AMAZON_2018}/categoryFiles/Movies_and_TV.json.gz"),
                Source(f"{_AMAZON_2018}/metaFiles2/meta_Movies_and_TV.json.gz"),
            ),
            _UCSD, "https://nijianmo.github.io/amazon/",
        ),
        "amazon-2023": Published(
            "Amazon Movies & TV 2023", "amazon-2023",
            (
                Source(f"{_AMAZON_2023}/review_categories/Movies_and_TV.jsonl.gz"),
                Source(f"{_AMAZON_2023}/meta_categories/meta_Movies_and_TV.jsonl.gz"),
            ),
            _UCSD, "https://amazon-reviews-2023.github.io/",
        ),
    }
)  # fmt: skip
