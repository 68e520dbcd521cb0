"""Grading: a trusted parent that does all numerics, and a worker that runs the student's code and only maps arrays to arrays."""
