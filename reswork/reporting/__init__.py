"""What a trained model gets wrong: a report from predictions, whoever made the model."""
