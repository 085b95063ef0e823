"""Figures and pages: patients, charts, label overlays, HTML."""
