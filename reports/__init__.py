"""Terminal tables, made from records and answers only."""
