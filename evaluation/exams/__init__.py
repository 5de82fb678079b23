"""Examinations: `retimbre eval NAME` runs one and prints its figures beside their ceilings."""
