"""The methods scored where the true evidence is known: networks that are honest, and one that cheats."""
