"""Running Workers for tests and benchmarks: on the real workerd, with or without wrangler in front."""
