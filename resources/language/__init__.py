"""Language models behind HTTP: asked rarely, believed little, recorded always."""
