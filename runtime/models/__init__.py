"""Language models: the types of requests and answers, drivers for providers, and what decides between them.

The Hand `model` is the one that runs it; whoever asks a model links `messages` alone.
"""
