"""Two ranked channels over a user's history, and the reranker that joins them (sections 4.2.4 and 4.2.6)."""

from backend.retrieval.batch import Block, retrieve_rows, write_retrieval
from backend.retrieval.channels import Channels
from backend.retrieval.config import (
    DEFAULT_GAMMA,
    PAPER_GAMMAS,
    STRATEGIES,
    RetrievalConfig,
    exact_gamma,
    shown_gammas,
)
from backend.retrieval.index import IndexConfig, build_index, nearest, open_index
from backend.retrieval.orders import ORDERS, order_items, orders_from
from backend.retrieval.rerank import GammaStretch, RankedItem, gamma_orders, gamma_stretches, rerank, rerank_rows
from backend.retrieval.retriever import Retrieval, Retriever

__all__ = [
    "DEFAULT_GAMMA",
    "ORDERS",
    "PAPER_GAMMAS",
    "STRATEGIES",
    "Block",
    "Channels",
    "GammaStretch",
    "IndexConfig",
    "RankedItem",
    "Retrieval",
    "RetrievalConfig",
    "Retriever",
    "build_index",
    "exact_gamma",
    "gamma_orders",
    "gamma_stretches",
    "nearest",
    "open_index",
    "order_items",
    "orders_from",
    "rerank",
    "rerank_rows",
    "retrieve_rows",
    "shown_gammas",
    "write_retrieval",
]
