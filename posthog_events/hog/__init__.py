"""PostHog's destination filters and Hog expressions, evaluated here as PostHog evaluates them, traps included."""
