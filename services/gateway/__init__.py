"""HTTP in and out: identity, limits, problem details, events as SSE, the web page. It decides nothing and asks kendra."""
