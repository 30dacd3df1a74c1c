"""The closed loop: simulated people who choose from what is served."""
