"""Files of a log: found, unpacked and cut into records, whatever trainer wrote them. Nothing in a file is executed."""
