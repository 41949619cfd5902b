"""The platforms that come with the plugin, one module each; each is an adapter by its function `publish`."""
