"""Configuration, presets, the training loop and exact resume."""
