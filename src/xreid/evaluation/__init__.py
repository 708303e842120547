"""Protocols, ranking metrics, intervals and reports over stored embeddings."""
