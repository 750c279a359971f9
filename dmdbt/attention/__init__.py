"""Where the heads looked."""
