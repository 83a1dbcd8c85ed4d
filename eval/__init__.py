"""Scores a role adapter against its base model: scenarios, answers, statistics, comparison."""
