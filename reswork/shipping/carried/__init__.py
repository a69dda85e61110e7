"""Files that a bundle takes along and that need no reswork there; here they are ordinary modules, and tested."""
