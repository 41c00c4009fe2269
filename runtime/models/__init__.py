"""Language models: the types of requests and answers, drivers for providers, and the rules that choose between them.

Only the Hand `model` runs drivers; a Hand that asks a model needs `messages` alone.
"""
