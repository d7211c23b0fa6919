"""Query files: `.sql` files with a typed header, rendered to HogQL and bound values."""
