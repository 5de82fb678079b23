"""What docs and demo show, made from code.

arranger.py     the pictures and the table of docs/arranger.md
demo_region.py  the region that `retimbre demo` sends
"""
