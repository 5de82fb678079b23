"""The models that are examined, and the editors that they are compared with."""
