"""From video to tracklets, gallery and search."""
