"""The numbers of Maniple beside bare baselines, measured in one run: `./just bench`."""
