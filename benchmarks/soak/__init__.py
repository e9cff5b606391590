"""A daemon under faults on a schedule, and one page about how it went."""
