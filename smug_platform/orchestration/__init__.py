"""Dagster's part: what runs when, over the stages' own assets. Stages know nothing of it."""
