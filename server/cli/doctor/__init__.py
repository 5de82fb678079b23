"""`retimbre doctor`: what works on this machine, and what a bug report needs."""
