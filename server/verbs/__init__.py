"""What each address does: one function a verb, all of them in one table."""
