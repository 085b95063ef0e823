"""What carries out an experiment: cells, folders, tables and reports."""
