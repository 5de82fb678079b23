"""The Max patches as data: what is in each, and the files that Max reads."""
