"""Hands that think: a pure machine that decides turn by turn, and the Hand that carries out its actions."""
