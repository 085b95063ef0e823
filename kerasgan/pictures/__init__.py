"""Pictures that matplotlib draws: patients, losses, box plots and label overlays."""
