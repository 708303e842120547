"""A simulator of people walking past visible and infrared cameras."""
