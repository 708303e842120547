"""Simulated people walking past simulated visible and infrared cameras, written as a known archive.

Everything it writes is synthetic: no real person, place or camera is shown.
"""
