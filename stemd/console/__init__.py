"""The web console: what a browser is shown of a running daemon, and the knobs it may turn."""
