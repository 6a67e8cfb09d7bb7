"""What is seen over HTTP: requests become the use cases of jobs/, errors become answers. Decides nothing itself."""
