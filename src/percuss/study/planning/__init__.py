"""How large a study must be, and what one of a given size can and cannot show."""
