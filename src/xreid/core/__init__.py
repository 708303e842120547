"""Domain objects and helpers shared by every floor: tracklets, embedding sets, errors, files, seeds."""
