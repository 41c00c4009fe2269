"""Tests of what speaks the Model Context Protocol."""
