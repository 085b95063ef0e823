"""From a scan on disk to its synthetic counterpart on disk."""
