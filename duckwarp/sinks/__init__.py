"""What is kept of a run besides its files: an account, a log, metrics. Listeners of its events."""
