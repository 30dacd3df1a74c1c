"""How well it ranks: what is held back, what is asked, and the table of answers."""
