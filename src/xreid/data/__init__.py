"""Readers of tracklet archives, frame sampling, clips, batches and verification."""
