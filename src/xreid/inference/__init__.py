"""From a checkpoint and tracklets to stored embeddings."""
