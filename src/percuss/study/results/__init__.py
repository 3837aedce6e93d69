"""What a closed study found: pure numbers from the answers, each with its interval and method."""
