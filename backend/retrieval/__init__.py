"""Two ranked channels over a user's history, and the reranker that joins them (sections 4.2.4 and 4.2.6)."""

from backend.retrieval.batch import Block, retrieve_rows, write_retrieval
from backend.retrieval.channels import Channels
from backend.retrieval.config import STRATEGIES, RetrievalConfig
from backend.retrieval.index import IndexConfig, build_index, nearest, open_index
from backend.retrieval.orders import ORDERS, order_items, orders_from
from backend.retrieval.rerank import RankedItem, gamma_breakpoints, gamma_orders, rerank, rerank_rows
from backend.retrieval.retriever import Retrieval, Retriever

__all__ = [
    "ORDERS",
    "STRATEGIES",
    "Block",
    "Channels",
    "IndexConfig",
    "RankedItem",
    "Retrieval",
    "RetrievalConfig",
    "Retriever",
    "build_index",
    "gamma_breakpoints",
    "gamma_orders",
    "nearest",
    "open_index",
    "order_items",
    "orders_from",
    "rerank",
    "rerank_rows",
    "retrieve_rows",
    "write_retrieval",
]
