"""Methods: what network and what losses a name stands for. X-ReID and its rivals, one file each."""
