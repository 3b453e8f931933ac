"""``retr bench-2afc``: metrics judge triplets, before and after attacks."""
