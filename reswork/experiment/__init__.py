"""What puts the layers together: starting a run that is recorded and saved, presets, stand-alone scripts."""
