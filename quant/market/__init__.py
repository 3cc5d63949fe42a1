"""Bars, calendars, corporate actions, quality rules and synthetic markets."""
