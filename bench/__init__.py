"""What a request, a chunk, a start costs: our Worker beside three yardsticks, in one run (`make bench`)."""
