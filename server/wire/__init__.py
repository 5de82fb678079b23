"""Sockets, sessions, the password, discovery. Nothing here knows a job."""
