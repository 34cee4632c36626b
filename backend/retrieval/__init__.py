"""Two ranked channels over a user's history, and the reranker that joins them (sections 4.2.4 and 4.2.6)."""

from backend.retrieval.channels import Channels, channels
from backend.retrieval.config import RetrievalConfig
from backend.retrieval.orders import ORDERS, order_items, orders_from
from backend.retrieval.rerank import RankedItem, gamma_breakpoints, rerank

__all__ = [
    "ORDERS",
    "Channels",
    "RankedItem",
    "RetrievalConfig",
    "channels",
    "gamma_breakpoints",
    "order_items",
    "orders_from",
    "rerank",
]
