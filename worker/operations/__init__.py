"""Dead letters, audit, doctor: what an operator does. Functions return data."""
