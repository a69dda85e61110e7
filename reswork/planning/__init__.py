"""What a training costs, said before it: time, memory, energy and money; and what it brings, after it."""
