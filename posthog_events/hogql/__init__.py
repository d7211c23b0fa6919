"""HogQL: PostHog's own grammar, a typed syntax tree, and a printer back to text. Pure: no IO but the parse cache."""
