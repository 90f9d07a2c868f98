"""What a chat request must be like for each kind of host: small rules, each with its reason and source."""
