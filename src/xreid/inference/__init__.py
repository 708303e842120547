"""Checkpoint and tracklets -> stored embeddings."""
