"""The bundled Hands, one folder each; the runtime loads their code from sealed bytes, so nothing imports from here."""
