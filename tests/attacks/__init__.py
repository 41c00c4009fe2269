"""Attacks by hostile Hands, one file for each; docs/attacks.md lists them."""
