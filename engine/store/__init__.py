"""The record of all jobs: one contract, two stores."""
