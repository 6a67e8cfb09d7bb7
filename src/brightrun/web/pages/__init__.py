"""The dashboard: pages drawn on the server, one file for each noun. Numbers come from the functions the API uses."""
