"""bench/compare's parts: what it measures, with what, and what it reports."""
