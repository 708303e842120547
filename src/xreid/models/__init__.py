"""The X-ReID network: CLIP backbone, SII, LII, CII, heads."""
