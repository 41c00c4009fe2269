"""A server of the Model Context Protocol as a Hand (pure): what it offers, and the folder that it becomes.

tools.py reads what it offers, and knows one offer from another; words.py makes methods, params and types of it; folder.py
makes the Hand's files of that. Here and not in runtime/, since the command line writes the folder and the run reads it.
"""
