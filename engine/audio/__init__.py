"""Audio in memory and on disk, and the contract that a stem drops into the place of its region."""
