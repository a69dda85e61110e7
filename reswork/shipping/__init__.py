"""From a trained network to what is used: a folder that needs no reswork, proved equal, checked, timed."""
