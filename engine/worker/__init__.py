"""The worker: computes what it is asked, and keeps the master informed that it is there."""
