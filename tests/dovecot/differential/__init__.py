"""The stock worker and ours are asked the same seeded questions about the same mail; the answers are compared."""
