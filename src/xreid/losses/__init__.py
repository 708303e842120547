"""Losses: prototypes (CPC), triplet, cross-entropy, and those of X-ReID (CMCL)."""
