"""`./just bench`: measures Maniple and bare baselines in the same run, so that the two can be compared."""
