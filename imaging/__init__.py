"""Making pictures smaller, without trust in those who made them. Knows no other part of ours."""
