"""Route handlers, one module a route family."""
