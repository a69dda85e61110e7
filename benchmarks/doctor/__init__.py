"""The proof of the doctor: trainings with planted faults and healthy ones, judged by the rules."""
