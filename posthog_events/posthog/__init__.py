"""PostHog itself over HTTP: one module per API object, all of them over `http.Api`."""
