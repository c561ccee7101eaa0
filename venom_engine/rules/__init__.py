"""Decisions: plain functions over plain data. Nothing here awaits."""
