"""Program to plan: strategy, allocation, calibration, predictions, certificate."""
