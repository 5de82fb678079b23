"""Whatever can edit a region and be examined: our models, and what they are compared with."""
