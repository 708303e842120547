"""The X-ReID objective: CPC, triplet, cross-entropy and CMCL."""
