"""What the tests of TRL import or run is no test itself, and needs TRL."""

collect_ignore = ["tiny.py", "two_processes.py"]
