"""The files: staging, publishing, dictionary, and what a written footer says."""
