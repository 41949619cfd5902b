"""One stand-in a module, all of one shape. They never import each other, but for Graph's two platforms."""
