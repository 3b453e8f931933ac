"""``retr bench-copies``: edited images of a gallery, found again among distractors."""
